internal import Wire

/// What a setting's value may be. The kind parses the text, checks the range, and tells the reference and the JSON
/// Schema what to say.
indirect enum SettingKind: Sendable {
    case integer(ClosedRange<Int>)
    /// A number, or the word `auto`.
    case integerOrAuto(ClosedRange<Int>)
    /// Bytes: `16KiB`, `1MiB`, `2GiB`, or a plain number of bytes.
    case size(ClosedRange<Int>)
    /// `250ms`, `5s`, `10m`, `24h`, `1d`.
    case duration(ClosedRange<Interval>)
    /// The same, with words for whoever wants more than is allowed.
    case boundedDuration(ClosedRange<Interval>, why: String)
    /// `100/min`, or the word `off`.
    case rate
    case boolean
    case choice([String])
    /// `host:port` to listen on; port 0 lets the system choose.
    case listener
    /// As `listener`, or the word `off`.
    case listenerOrOff
    /// `host:port` or `unix:/path` to connect to.
    case server
    /// The same of Redis.
    case redisAddress
    /// An address or a CIDR block.
    case network
    /// A canonical path that ends a whole segment.
    case routePath
    /// A path, with a query or without, as it stands in a request.
    case target
    /// `METHOD /path`.
    case endpoint
    case method
    case hostPattern
    /// `*` or an origin as browsers send it.
    case origin
    /// An http or https URL.
    case webAddress
    /// The same, where it lets whoever has it in: path and query are as good as a password, and shown nowhere.
    case capability
    /// `off`, `stdout`, or a path.
    case logTarget
    /// A path on this machine.
    case file
    /// A word that fits the rule.
    case word(WordRule)
    /// Any text but the empty one, at most 1,024 bytes.
    case text
    /// A claim's name, or `@authenticated`.
    case claimSource
    /// Bytes that are never shown; at least this many.
    case secret(minimum: Int)
    case list(SettingKind)
    /// A list; one value may stand without its brackets.
    case listOrSingle(SettingKind)

    var isSecret: Bool { if case .secret = self { true } else { false } }
    var isCapability: Bool { if case .capability = self { true } else { false } }
    /// The value is shown in no excerpt and no message.
    var hidesValue: Bool { isSecret || isCapability }

    /// What may be said of a value that is none: complaints about a URL quote it.
    func discreet(_ complaint: Complaint) -> Complaint {
        guard isCapability else { return complaint }
        return Complaint(
            "this is no http or https URL as it must be", hint: "write it as https://host.example.org/path")
    }

    /// The kind of the items, for lists.
    var item: SettingKind? {
        switch self {
        case .list(let item), .listOrSingle(let item): item
        default: nil
        }
    }
}

/// Words with an alphabet of their own.
enum WordRule: Sendable {
    /// RFC 9110 §5.6.2: header and cookie names, the pseudonym in Via.
    case token
    /// RFC 3986 §2.3: what no form of a query may write in two ways.
    case parameter
    /// Prometheus: letters, digits and underscores, not beginning with a digit.
    case metricPrefix
    /// Lower case letters, digits, `-` and `_`: names that appear in variables and labels.
    case name
    /// Letters, digits and `-._:`: a host name or an address.
    case serverName
    /// Letters, digits and `-._:@/+`: names of keys and routes in logs.
    case label
    /// Letters, digits and `-._:/`: what keys of Redis begin with. No sign of a pattern, no brace of a hash tag.
    case keyPrefix
    /// A protocol of Upgrade, with its version or without (RFC 9110 §7.8), but no form of HTTP: requests inside of it
    /// would pass unseen.
    case upgrade

    func accepts(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count) else { return false }
        switch self {
        case .token:
            return text.utf8.allSatisfy { $0.isAlphanumeric || "!#$%&'*+-.^_`|~".utf8.contains($0) }
        case .parameter:
            return text.utf8.allSatisfy { $0.isAlphanumeric || "-._~".utf8.contains($0) }
        case .metricPrefix:
            return text.utf8.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "_") } && !text.utf8.first!.isDigit
        case .name:
            return text.utf8.allSatisfy { ($0.isAlphanumeric && !$0.isUpper) || "-_".utf8.contains($0) }
        case .serverName:
            return text.utf8.allSatisfy { $0.isAlphanumeric || "-._:".utf8.contains($0) }
        case .label:
            return text.utf8.allSatisfy { $0.isAlphanumeric || "-._:@/+*".utf8.contains($0) }
        case .keyPrefix:
            return text.utf8.count <= 64 && text.utf8.allSatisfy { $0.isAlphanumeric || "-._:/".utf8.contains($0) }
        case .upgrade:
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            let name = parts[0].lowercased()
            return parts.count <= 2 && parts.allSatisfy { WordRule.token.accepts(String($0)) }
                && name != "http" && name != "h2" && name != "h2c"
        }
    }

    /// What is wrong with a word that is not accepted.
    var fault: String {
        if case .upgrade = self { return "is no protocol that can be allowed" }
        return "has characters that are not allowed here"
    }

    var alphabet: String {
        switch self {
        case .token: "letters, digits and !#$%&'*+-.^_`|~"
        case .parameter: "letters, digits and -._~"
        case .keyPrefix: "at most 64 letters, digits and -._:/"
        case .metricPrefix: "letters, digits and _, not beginning with a digit"
        case .name: "lower case letters, digits, - and _"
        case .serverName: "letters, digits and -._:"
        case .label: "letters, digits and -._:@/+*"
        case .upgrade: "letters, digits and !#$%&'*+-.^_`|~, with /version or without, other than HTTP and h2c"
        }
    }
}

extension UInt8 {
    var isDigit: Bool { (48...57).contains(self) }
    var isUpper: Bool { (65...90).contains(self) }
    var isAlphanumeric: Bool { isDigit || isUpper || (97...122).contains(self) }
}

/// A value as its kind read it.
enum SettingValue: Sendable {
    /// `auto` or `off`.
    case none
    case integer(Int)
    case interval(Interval)
    case rate(Rate)
    case boolean(Bool)
    case text(String)
    case address(Configuration.SocketAddressText)
    case network(IPNetwork)
    case endpoint(Configuration.Login.Endpoint)
    case server(Configuration.ServerLocation)
    case log(Configuration.Logs.Target)
    case claim(Configuration.IdentityHeader.Value)
    case secret(Secret)
    case web(WebAddress)
}

/// What is wrong with a text, and how to mend it. Kinds of secrets never quote the text.
struct Complaint: Error {
    var message: String
    var hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}

extension SettingKind {
    /// Reads the text of one value; for lists, of one item.
    func parse(_ text: String) throws(Complaint) -> SettingValue {
        switch self {
        case .integer(let range): .integer(try parseInteger(text, range))
        case .integerOrAuto(let range): text == "auto" ? .none : .integer(try parseInteger(text, range))
        case .size(let range): .integer(try parseSize(text, range))
        case .duration(let range): .interval(try parseDuration(text, range))
        case .boundedDuration(let range, let why): .interval(try parseDuration(text, range, why: why))
        case .rate: try parseRate(text).map(SettingValue.rate) ?? .none
        case .boolean: .boolean(try parseBoolean(text))
        case .choice(let words): .text(try parseChoice(text, words))
        case .listener: .address(try parseListener(text))
        case .listenerOrOff: text == "off" ? .none : .address(try parseListener(text))
        case .server: .server(try parseServer(text))
        case .redisAddress: .server(try parseRedisAddress(text))
        case .network: .network(try parseNetwork(text))
        case .routePath: .text(try parseRoutePath(text))
        case .target: .text(try parseTarget(text))
        case .endpoint: .endpoint(try parseEndpoint(text))
        case .method: .text(try parseMethod(text))
        case .hostPattern: .text(try parseHostPattern(text))
        case .origin: .text(try parseOrigin(text))
        case .webAddress, .capability: .web(try parseWebAddress(text))
        case .logTarget: .log(try parseLogTarget(text))
        case .file: .text(try parseText(text))
        case .word(let rule): .text(try parseWord(text, rule))
        case .text: .text(try parseText(text))
        case .claimSource: .claim(try parseClaimSource(text))
        case .secret(let minimum): .secret(try parseSecret(text, minimum: minimum))
        case .list(let item), .listOrSingle(let item): try item.parse(text)
        }
    }

    /// One phrase for the reference: `duration, 1s to 366d`.
    var phrase: String {
        switch self {
        case .integer(let range): "number, \(range.lowerBound) to \(range.upperBound)"
        case .integerOrAuto(let range): "`auto` or a number, \(range.lowerBound) to \(range.upperBound)"
        case .size(let range): "size, \(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
        case .duration(let range), .boundedDuration(let range, _):
            "duration, \(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
        case .rate: "`off`, or requests per `s`, `min`, `h` or `d`: `100/min`"
        case .boolean: "`true` or `false`"
        case .choice(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .listener: "`host:port`"
        case .listenerOrOff: "`host:port` or `off`"
        case .server, .redisAddress: "`host:port` or `unix:/path`"
        case .network: "address or CIDR block"
        case .routePath: "path"
        case .target: "path, with a query or without"
        case .endpoint: "`METHOD /path`"
        case .method: "method"
        case .hostPattern: "host name, `*.` before it for its subdomains"
        case .origin: "`*` or an origin, `https://app.example.org`"
        case .webAddress, .capability: "`https://host/path`"
        case .logTarget: "`off`, `stdout` or a path"
        case .file: "path"
        case .word(let rule): "word of \(rule.alphabet)"
        case .text: "text"
        case .claimSource: "name of a claim, or `@authenticated`"
        case .secret(let minimum): minimum > 1 ? "secret of at least \(minimum) bytes" : "secret"
        case .list(let item): "list; each: \(item.phrase)"
        case .listOrSingle(let item): "\(item.phrase), or a list of them"
        }
    }
}
