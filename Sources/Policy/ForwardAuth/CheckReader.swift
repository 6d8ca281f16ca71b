internal import Settings
package import Wire

/// A check: a proxy asks whether a request of its client may pass.
package struct Check: Sendable {
    /// Which program asks, by the path of the check. They differ in how they describe a request, and in what they make
    /// of an answer.
    package enum Dialect: Sendable {
        /// `/verify`, of Traefik and Caddy: the request is described in X-Forwarded-* fields, and a refusal is passed
        /// on as it is.
        case verify
        /// `/nginx`: described in the same way, but only 401 and 403 are refusals, and their bodies are thrown away.
        case nginx
        /// `/envoy`: the check is the request itself, its path behind this prefix.
        case envoy
    }

    package let dialect: Dialect
    /// Who sent the request that is described.
    package let client: IPAddress
    /// The client's own connection is secure.
    package let isSecure: Bool
}

/// Reads checks. What a proxy says of a request is written down as the head that its client would have sent to the
/// gateway, so that the very stages decide about it that decide about requests, and nothing is decided a second time.
///
/// One worker's. The head that was written last stays until the next check is read.
package final class CheckReader {
    package enum Reading: Sendable {
        /// The head of the check is not complete, and nothing is wrong with it yet.
        case incomplete
        /// The check itself is no request that could be answered in step.
        case refused(Refusal)
        /// GET or HEAD of `/health`: the proxy asks for itself.
        case health
        /// The proxy does not say what it must.
        case misdescribed(DescriptionFault, Check.Dialect?)
        /// `described` is the head of the request.
        case described(Check)
    }

    private let rules: GatekeeperRules
    private let limits: HeadParser.Limits
    private var fields: FieldTable
    private var classes: [FieldClass]
    private var text: ByteWriter

    /// What proxies add to a client's head: the description, and fields of their own.
    private static let addedBytes = 4_096
    private static let addedFields = 16

    package init(_ rules: GatekeeperRules) {
        self.rules = rules
        // A head that the client could have sent here is not too long because it is described twice.
        limits = HeadParser.Limits(
            headBytes: rules.headLimits.headBytes + rules.headLimits.targetBytes + CheckReader.addedBytes,
            targetBytes: rules.headLimits.targetBytes + 64)
        let fieldLimit = rules.fieldLimit + CheckReader.addedFields
        fields = FieldTable(capacity: fieldLimit)
        classes = Array(repeating: .endToEnd, count: fieldLimit)
        text = ByteWriter(capacity: limits.headBytes + 256)
    }

    /// The head of the described request. The memory lives as long as this reader; what it holds changes with the next
    /// check.
    package var described: Span<UInt8> {
        @_lifetime(immortal)
        get { text.unownedBytes }
    }

    /// - Parameter facts: of the check itself: how its answer is framed, and what a log line can say of one that
    ///   describes nothing.
    package func read(_ bytes: Span<UInt8>, _ facts: inout RequestFacts) -> Reading {
        switch HeadParser.parseRequest(bytes, into: &fields, limits: limits) {
        case .incomplete: return .incomplete
        case .malformed(let fault):
            facts.isHead = Methods.beginsAsHead(bytes)
            return .refused(Refusal(fault))
        case .complete(let line, let length):
            facts.headLength = length
            guard settle(bytes, line, &facts) else { return .refused(.malformed) }
            let target = bytes.extracting(line.target)
            if target.equals("/health"), facts.isHead || bytes.extracting(line.method).equals("GET") { return .health }
            let dialect = dialect(target)
            do throws(DescriptionFault) {
                guard let dialect else { throw DescriptionFault("the path of the check", .unknown) }
                return .described(try describe(bytes, line, as: dialect, facts))
            } catch {
                return .misdescribed(error, dialect)
            }
        }
    }

    // MARK: The check itself

    /// How the check ends, and whether another may follow it. False: it cannot be said.
    private func settle(_ bytes: Span<UInt8>, _ line: RequestLine, _ facts: inout RequestFacts) -> Bool {
        var framing = FramingFields()
        var connection = ConnectionOptions()
        var hosts = 0
        facts.method = line.method
        facts.path = line.target
        facts.minorVersion = line.minorVersion
        facts.isHead = bytes.extracting(line.method).equals("HEAD")
        for index in 0..<fields.count {
            let value = bytes.extracting(fields[index].value)
            classes[index] = rules.classifier.classify(fields[index], in: bytes)
            switch classes[index] {
            case .contentLength: framing.contentLength(value)
            case .transferEncoding: framing.transferEncoding(value)
            case .connection: guard connection.take(value) else { return false }
            case .host:
                hosts += 1
                facts.authority = fields[index].value
            case .userAgent: facts.userAgent = fields[index].value
            default: continue
            }
        }
        facts.keepAlive = line.minorVersion >= 1 && !connection.closes
        guard hosts == 1 || (hosts == 0 && line.minorVersion == 0),
            case .success(let settled) = framing.settleRequest(minorVersion: line.minorVersion)
        else { return false }
        facts.framing = settled
        return true
    }

    private func dialect(_ target: Span<UInt8>) -> Check.Dialect? {
        // Caddy puts the client's query behind the path of the check.
        var end = 0
        while end < target.count, target[end] != UInt8(ascii: "?") { end += 1 }
        let path = target.extracting(first: end)
        if path.equals("/verify") { return .verify }
        if path.equals("/nginx") { return .nginx }
        let prefix = CheckReader.envoyPrefix
        guard target.count > prefix.utf8CodeUnitCount, target.extracting(first: prefix.utf8CodeUnitCount).equals(prefix)
        else { return nil }
        return .envoy
    }

    private static let envoyPrefix: StaticString = "/envoy"

    // MARK: The description

    private func describe(
        _ bytes: Span<UInt8>, _ line: RequestLine, as dialect: Check.Dialect, _ facts: RequestFacts
    ) throws(DescriptionFault) -> Check {
        var method = line.method
        var target = line.target.lowerBound + CheckReader.envoyPrefix.utf8CodeUnitCount..<line.target.upperBound
        var host = facts.authority
        if dialect != .envoy {
            method = try only(.method, bytes)
            target = try only(.target, bytes)
            host = try only(.host, bytes)
        }
        // The stages see a request line. What is no single word of it is no description, whatever they would make of
        // it.
        guard isWord(bytes.extracting(method)) else { throw DescriptionFault(Part.method.name, .malformed) }
        guard isTarget(bytes.extracting(target)) else { throw DescriptionFault(Part.target.name, .malformed) }
        guard !host.isEmpty else { throw DescriptionFault("Host", .missing) }
        let isSecure = try isSecure(bytes)
        let client = try client(bytes)
        text.reset()
        text.append(bytes, method)
        text.append(" ")
        text.append(bytes, target)
        text.append(" HTTP/1.1\r\nHost: ")
        text.append(bytes, host)
        text.append("\r\n")
        writeFields(bytes)
        text.append("\r\n")
        guard !text.overflowed else { throw DescriptionFault("the head of the check", .malformed) }
        return Check(dialect: dialect, client: client, isSecure: isSecure)
    }

    /// A field of the description. Envoy says only the last two of them in such fields.
    private struct Part {
        let name: StaticString
        /// In small letters.
        let folded: StaticString

        static let method = Part(name: "X-Forwarded-Method", folded: "x-forwarded-method")
        static let target = Part(name: "X-Forwarded-Uri", folded: "x-forwarded-uri")
        static let host = Part(name: "X-Forwarded-Host", folded: "x-forwarded-host")
        static let scheme = Part(name: "X-Forwarded-Proto", folded: "x-forwarded-proto")
        static let client = Part(name: "X-Forwarded-For", folded: "x-forwarded-for")
    }

    /// The value of a field of the description, which says nothing unless it is there once.
    private func only(_ part: Part, _ bytes: Span<UInt8>) throws(DescriptionFault) -> Range<Int> {
        var found: Range<Int>?
        for index in 0..<fields.count where bytes.extracting(fields[index].name).equalsIgnoringCase(part.folded) {
            guard found == nil else { throw DescriptionFault(part.name, .repeated) }
            found = fields[index].value
        }
        guard let found, !found.isEmpty else { throw DescriptionFault(part.name, .missing) }
        return found
    }

    private func isWord(_ method: Span<UInt8>) -> Bool {
        for index in method.indices where !Characters.token.contains(method[index]) { return false }
        return !method.isEmpty
    }

    /// Proxies take the host out of an absolute target, and say it as the host.
    private func isTarget(_ target: Span<UInt8>) -> Bool {
        guard !target.isEmpty, target[0] == UInt8(ascii: "/") || target.equals("*") else { return false }
        for index in target.indices where target[index] <= 0x20 || target[index] == 0x7f { return false }
        return true
    }

    /// Traefik names the schemes of WebSockets, too.
    private func isSecure(_ bytes: Span<UInt8>) throws(DescriptionFault) -> Bool {
        let proto = bytes.extracting(try only(.scheme, bytes))
        if proto.equalsIgnoringCase("https") || proto.equalsIgnoringCase("wss") { return true }
        guard proto.equalsIgnoringCase("http") || proto.equalsIgnoringCase("ws") else {
            throw DescriptionFault(Part.scheme.name, .malformed)
        }
        return false
    }

    /// The proxy that asks is believed; further ones are if they are among `trusted_proxies`.
    private func client(_ bytes: Span<UInt8>) throws(DescriptionFault) -> IPAddress {
        var walk = ClientAddress(toldByCaller: rules.trusted)
        walk.take(bytes.extracting(try only(.client, bytes)))
        guard !walk.address.isUnspecified else { throw DescriptionFault(Part.client.name, .malformed) }
        return walk.address
    }

    /// The client's own fields. Upgrade is for one connection, and most proxies leave it out of a check: whoever sends
    /// the key of a WebSocket asks for one, and browsers let no page write that key.
    private func writeFields(_ bytes: Span<UInt8>) {
        var asksForUpgrade = false
        var hasKey = false
        for index in 0..<fields.count where isOfClient(fields[index], classes[index], bytes) {
            if classes[index] == .upgrade { asksForUpgrade = true }
            if bytes.extracting(fields[index].name).equalsIgnoringCase("sec-websocket-key") { hasKey = true }
            text.append(bytes, fields[index].line)
        }
        if hasKey, !asksForUpgrade { text.append("Upgrade: websocket\r\n") }
        if hasKey || asksForUpgrade { text.append("Connection: Upgrade\r\n") }
    }

    /// Not what frames the check, belongs to its connection or is the description. Of names with a sign
    /// other than `-` all are kept: whoever brings the request to the backend brings them, too
    /// (`Gatekeeper.admitUnchanged`).
    private func isOfClient(_ field: Field, _ kind: FieldClass, _ bytes: Span<UInt8>) -> Bool {
        switch kind {
        case .host, .contentLength, .transferEncoding, .connection, .hopByHop, .expect, .maxForwards, .xForwardedFor,
            .xForwardedHost, .xForwardedProto:
            false
        case .identity: field.hasUnusualName || rules.isUnanswered(bytes.extracting(field.name))
        case .forwarding: field.hasUnusualName
        default: true
        }
    }
}

/// What is wrong with what a proxy says of a request, for the log: a mistake of its configuration, or a client that
/// wrote what the proxy must overwrite.
package struct DescriptionFault: Error, Hashable, Sendable {
    package enum Problem: String, CaseIterable, Sendable {
        case missing = "is missing"
        case repeated = "is there more than once"
        case malformed = "is malformed"
        case unknown = "is not one that is served"
    }

    private let part: String
    private let problem: Problem

    init(_ part: StaticString, _ problem: Problem) {
        self.part = part.description
        self.problem = problem
    }

    package var text: String { "\(part) \(problem.rawValue)" }
}
