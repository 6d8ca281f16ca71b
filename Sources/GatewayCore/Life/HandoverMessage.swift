internal import Ledger
internal import Policy
internal import Wire

/// What two gateways say to each other while one takes over from the other: a line each, over a socket that only they
/// have. `InheritedDescriptors.handoverForm` changes with the meaning of any of them, and when one is added that the other
/// side must not be without. A notice is not one of these: whoever does not know it goes on without it.
enum HandoverMessage: Hashable {
    // The new program says:

    /// A line of the reason why it cannot serve; its end follows.
    case refused(String)
    /// All that can fail without the state has succeeded.
    case wantsState
    /// It could serve, on these of the sockets that it was given.
    case prepared(kept: [Int])
    case serving(version: String)
    /// A block came into force, for so long; nil: for ever.
    case block(IPNetwork, milliseconds: Int64?)
    case lift(IPNetwork)
    /// No block holds the network back for so long; nil: until somebody ends that.
    case allow(IPNetwork, milliseconds: Int64?)
    case disallow(IPNetwork)
    case revoke(RevocationEntry)
    case unrevoke(RevocationTarget)
    /// A route is closed for so long; nil: until it is opened.
    case lockdown(route: String, allowed: [IPNetwork], milliseconds: Int64?)
    case reopen(route: String)
    /// A notice: no key that is made of this is accepted any more. By its fingerprint, since the name of a key may be given to
    /// another one.
    case keyGone(fingerprint: String)
    /// The answer to `failed`; a block that came of it has been told before.
    case counted(FailureID, FailureCount)
    /// The answer to `reserve`; a block that stands in the way has been told before.
    case reserved(FailureID, Reservation)

    // The running one says:

    /// The state directory and the admin sockets are free.
    case state
    case serve
    /// A login failed here, and is yours to count.
    case failed(LoginFailure)
    /// May this guess go to a backend? Or: it may already.
    case reserve(LoginFailure, milliseconds: Int64)
    /// It does not need its place any more.
    case release(LoginFailure)
    /// Somebody asked for a reload when it was too late for this process.
    case reload

    /// Without the end of the line.
    var text: String {
        switch self {
        case .refused(let line): "refused \(line.replacing("\n", with: " "))"
        case .wantsState: "wants-state"
        case .prepared(let kept): (["prepared"] + kept.map { "\($0)" }).joined(separator: " ")
        case .serving(let version): "serving \(version)"
        case .block(let network, let length): "block \(network) \(length.map { "\($0)" } ?? "ever")"
        case .lift(let network): "lift \(network)"
        case .allow(let network, let length): "allow \(network) \(length.map { "\($0)" } ?? "ever")"
        case .disallow(let network): "disallow \(network)"
        case .revoke(let entry):
            "revoke \(entry.target.words) \(entry.cutoff.word) \(entry.from.map { "\($0.milliseconds)" } ?? "now")"
        case .unrevoke(let target): "unrevoke \(target.words)"
        case .lockdown(let route, let allowed, let length):
            (["lockdown", route, length.map { "\($0)" } ?? "ever"] + allowed.map(\.description))
                .joined(separator: " ")
        case .reopen(let route): "reopen \(route)"
        case .keyGone(let fingerprint): "\(HandoverMessage.notice)key-gone \(fingerprint)"
        case .counted(let id, let count):
            "counted \(id) \(count.failures) \(count.isNewlyBlocked ? "block" : "none")"
        case .state: "state"
        case .serve: "serve"
        case .reserved(let id, let reservation): "reserved \(id) \(reservation.word) \(reservation.decider.rawValue)"
        case .reserve(let guess, let length): "reserve \(guess.id) \(guess.address) \(length)\(guess.keyWord)"
        case .release(let guess): "release \(guess.id) \(guess.address)\(guess.keyWord)"
        case .failed(let failure): "failed \(failure.id) \(failure.address)\(failure.keyWord)"
        case .reload: "reload"
        }
    }

    /// What a line begins with that says nothing of the handover itself.
    private static let notice = "note "

    /// Whether a line that is no message here may be one to a newer program, and may be left alone.
    static func isNotice(_ text: String) -> Bool { text.hasPrefix(notice) }

    /// Nil for a line that is none of these.
    init?(_ text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        switch (words[0], words.count) {
        case ("refused", _): self = .refused(words.dropFirst().joined(separator: " "))
        case ("wants-state", 1): self = .wantsState
        case ("prepared", _):
            let kept = words.dropFirst().compactMap { Int($0) }
            guard kept.count == words.count - 1 else { return nil }
            self = .prepared(kept: kept)
        case ("serving", 2): self = .serving(version: String(words[1]))
        case ("block", 3), ("allow", 3):
            guard let network = IPNetwork(words[1]) else { return nil }
            let length = Int64(words[2])
            guard words[2] == "ever" || (length ?? -1) >= 0 else { return nil }
            self = words[0] == "block" ? .block(network, milliseconds: length) : .allow(network, milliseconds: length)
        case ("lift", 2), ("disallow", 2):
            guard let network = IPNetwork(words[1]) else { return nil }
            self = words[0] == "lift" ? .lift(network) : .disallow(network)
        case ("revoke", 5):
            guard let target = RevocationTarget(words: words[1...2]), let cutoff = RevocationCutoff(word: words[3])
            else { return nil }
            let from = Int64(words[4])
            guard from != nil || words[4] == "now" else { return nil }
            self = .revoke(
                RevocationEntry(target: target, cutoff: cutoff, from: from.map { WallTime(milliseconds: $0) }))
        case ("unrevoke", 3):
            guard let target = RevocationTarget(words: words[1...2]) else { return nil }
            self = .unrevoke(target)
        case ("lockdown", 3...):
            let networks = words[3...].compactMap { IPNetwork($0) }
            let length = Int64(words[2])
            guard Lockdown.isSound(words[1]), networks.count == words.count - 3,
                words[2] == "ever" || (length ?? -1) >= 0
            else { return nil }
            self = .lockdown(route: String(words[1]), allowed: networks, milliseconds: length)
        case ("reopen", 2):
            guard Lockdown.isSound(words[1]) else { return nil }
            self = .reopen(route: String(words[1]))
        case ("note", 3):
            guard words[1] == "key-gone", words[2].utf8.count == 12, UInt64(words[2], radix: 16) != nil,
                words[2].utf8.first != UInt8(ascii: "+"), words[2].utf8.first != UInt8(ascii: "-")
            else { return nil }
            self = .keyGone(fingerprint: String(words[2]))
        case ("counted", 4):
            guard let id = FailureID(words[1]), let count = Int(words[2]), ["block", "none"].contains(words[3]) else {
                return nil
            }
            self = .counted(id, FailureCount(failures: count, isNewlyBlocked: words[3] == "block"))
        case ("state", 1): self = .state
        case ("serve", 1): self = .serve
        case ("failed", 3...4):
            guard let failure = LoginFailure(words[1], words[2], key: words.dropFirst(3).first) else { return nil }
            self = .failed(failure)
        case ("reserved", 4):
            guard let id = FailureID(words[1]), let reservation = Reservation(words[2], words[3]) else { return nil }
            self = .reserved(id, reservation)
        case ("reserve", 4...5):
            guard let guess = LoginFailure(words[1], words[2], key: words.dropFirst(4).first),
                let length = Int64(words[3]), length >= 0
            else { return nil }
            self = .reserve(guess, milliseconds: length)
        case ("release", 3...4):
            guard let guess = LoginFailure(words[1], words[2], key: words.dropFirst(3).first) else { return nil }
            self = .release(guess)
        case ("reload", 1): self = .reload
        default: return nil
        }
    }
}

/// What the process that counts says of a failed login.
struct FailureCount: Hashable {
    /// Of the address in its window, this one included.
    var failures: Int
    /// This one set the block.
    var isNewlyBlocked: Bool
}

extension FailureCount {
    init(_ outcome: FailureOutcome) {
        self.init(failures: outcome.count, isNewlyBlocked: outcome.isNewlyBlocked)
    }
}

extension LoginFailure {
    /// What the plain rule counts goes by the address alone: whoever hears of it has its own prefixes.
    fileprivate var keyWord: String { key.isPlain ? "" : " \(key)" }

    fileprivate init?(_ id: Substring, _ address: Substring, key: Substring?) {
        guard let id = FailureID(id), let address = IPAddress(address) else { return nil }
        guard let key else {
            self.init(id: id, address: address)
            return
        }
        guard let key = LoginKey(key) else { return nil }
        self.init(id: id, address: address, key: key)
    }
}

extension FailureID {
    /// As `description` writes it.
    fileprivate init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}

extension Reservation {
    fileprivate var word: String {
        switch answer {
        case .granted: "granted"
        case .full: "full"
        case .blocked: "blocked"
        case .challenged: "challenged"
        }
    }

    fileprivate init?(_ word: Substring, _ decider: Substring) {
        guard let decider = Decider(rawValue: String(decider)) else { return nil }
        switch word {
        case "granted": self.init(.granted, by: decider)
        case "full": self.init(.full, by: decider)
        case "blocked": self.init(.blocked, by: decider)
        case "challenged": self.init(.challenged, by: decider)
        default: return nil
        }
    }
}

extension LedgerChange {
    /// For a gateway that had everything a moment ago; what replaces all says nothing new to it.
    func messages(at now: Instant) -> [HandoverMessage] {
        switch self {
        case .blocks(.set(let entries)):
            entries.map { .block($0.network, milliseconds: $0.milliseconds(at: now)) }
        case .blocks(.lift(let networks)): networks.map { .lift($0) }
        case .allowances(.set(let entries)):
            entries.map { .allow($0.network, milliseconds: $0.milliseconds(at: now)) }
        case .allowances(.lift(let networks)): networks.map { .disallow($0) }
        case .revocations(.set(let entries)): entries.map { .revoke($0) }
        case .revocations(.lift(let targets)): targets.map { .unrevoke($0) }
        case .lockdown(.set(let lockdown)):
            [
                .lockdown(
                    route: lockdown.route, allowed: lockdown.allowed,
                    milliseconds: lockdown.deadline == .never ? nil : max(0, (lockdown.deadline - now).milliseconds))
            ]
        case .lockdown(.lift(let route)): [.reopen(route: route)]
        // They end with the process that they were ordered of.
        case .breakGlass, .rateLimits: []
        // Each process follows its feeds by itself.
        case .feeds: []
        case .blocks(.replaceAll), .allowances(.replaceAll), .revocations(.replaceAll): []
        }
    }
}

extension BlockEntry {
    /// What is left of it; nil: it does not end.
    fileprivate func milliseconds(at now: Instant) -> Int64? {
        deadline == .never ? nil : max(0, (deadline - now).milliseconds)
    }
}

extension RevocationTarget {
    /// Kind and name, which may hold anything, in hexadecimal.
    fileprivate var words: String {
        "\(kind.rawValue) \(name.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())"
    }

    fileprivate init?(words: ArraySlice<Substring>) {
        guard let kind = Kind(rawValue: String(words.first!)), let digits = words.last?.utf8, digits.count % 2 == 0
        else {
            return nil
        }
        var bytes: [UInt8] = []
        var rest = words.last!
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        self.init(kind, String(decoding: bytes, as: UTF8.self))
    }
}

extension RevocationCutoff {
    fileprivate var word: String {
        switch self {
        case .everyToken: "all"
        case .issuedBefore(let time): "\(time.milliseconds)"
        }
    }

    fileprivate init?(word: Substring) {
        guard word != "all" else {
            self = .everyToken
            return
        }
        guard let milliseconds = Int64(word) else { return nil }
        self = .issuedBefore(WallTime(milliseconds: milliseconds))
    }
}

/// Bytes that come in pieces, as lines.
struct LineBuffer {
    private var bytes: [UInt8] = []
    /// Where the next line begins.
    private var start = 0
    /// No message is as long.
    static let longest = 4_096

    mutating func append(_ piece: Span<UInt8>) {
        bytes.removeFirst(start)
        start = 0
        for index in piece.indices { bytes.append(piece[index]) }
    }

    /// Takes out the first line that is complete.
    mutating func next() -> String? {
        guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { start = end + 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    /// Takes out everything, complete or not.
    mutating func takeRest() -> [UInt8] {
        defer { self = LineBuffer() }
        return Array(bytes[start...])
    }

    /// A line that does not end: whoever sends it does not speak this language. To be asked when `next` has no more.
    var isOverlong: Bool { bytes.count - start > LineBuffer.longest }
}
