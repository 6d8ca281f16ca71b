internal import Ledger
internal import Policy
internal import Wire

/// What two gateways say to each other while one takes over from the other: a line each, over a socket that only they
/// have. `InheritedDescriptors.handoverForm` changes with the meaning of any of them.
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
    /// The answer to `failed`; a block that came of it has been told before.
    case counted(FailureID, count: Int, isNewlyBlocked: Bool)

    // The running one says:

    /// The state directory and the admin sockets are free.
    case state
    case serve
    /// A login failed here, and is yours to count.
    case failed(LoginFailure)
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
        case .counted(let id, let count, let isNew): "counted \(id) \(count) \(isNew ? "block" : "none")"
        case .state: "state"
        case .serve: "serve"
        case .failed(let failure): "failed \(failure.id) \(failure.address)"
        case .reload: "reload"
        }
    }

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
        case ("block", 3):
            guard let network = IPNetwork(words[1]) else { return nil }
            let length = Int64(words[2])
            guard words[2] == "ever" || (length ?? -1) >= 0 else { return nil }
            self = .block(network, milliseconds: length)
        case ("lift", 2):
            guard let network = IPNetwork(words[1]) else { return nil }
            self = .lift(network)
        case ("counted", 4):
            guard let id = FailureID(words[1]), let count = Int(words[2]), ["block", "none"].contains(words[3]) else {
                return nil
            }
            self = .counted(id, count: count, isNewlyBlocked: words[3] == "block")
        case ("state", 1): self = .state
        case ("serve", 1): self = .serve
        case ("failed", 3):
            guard let id = FailureID(words[1]), let address = IPAddress(words[2]) else { return nil }
            self = .failed(LoginFailure(id: id, address: address))
        case ("reload", 1): self = .reload
        default: return nil
        }
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

extension BlockDelta {
    /// For a gateway that had all blocks a moment ago; what replaces all of them says nothing new to it.
    func messages(at now: Instant) -> [HandoverMessage] {
        switch self {
        case .set(let entries):
            entries.map {
                .block($0.network, milliseconds: $0.deadline == .never ? nil : max(0, ($0.deadline - now).milliseconds))
            }
        case .lift(let networks): networks.map { .lift($0) }
        case .replaceAll: []
        }
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
