internal import Policy
internal import Wire

/// The value that the gateway gives its own blocks: one flat JSON object, short enough to read in `redis-cli GET`.
/// `{"by":"gateway","reason":"failed_logins","failures":5,"at":"2026-11-21T07:09:16.123Z"}`; without `failures` an
/// operator set it through the gateway. Every other value is somebody's `redis-cli SET`.
struct BlockValue: Hashable {
    var by: String
    var reason: String
    var failures: Int?
    var at: WallTime

    init(_ record: BlockRecord) {
        by = record.actor
        reason = record.reason
        if case .automatic(let count) = record.origin { failures = count }
        at = record.since
    }

    var origin: BlockOrigin { failures.map { .automatic(failures: $0) } ?? .command }

    var text: String {
        let count = failures.map { ",\"failures\":\($0)" } ?? ""
        let words = "\"by\":\(FlatObject.quoted(by)),\"reason\":\(FlatObject.quoted(reason))"
        return "{\(words)\(count),\"at\":\"\(at.text)\"}"
    }

    /// nil for a value that the gateway did not write.
    init?(_ bytes: [UInt8]) {
        guard let members = FlatObject.read(bytes), case .text(let by) = members["by"],
            case .text(let reason) = members["reason"],
            case .text(let written) = members["at"], let at = WallTime(text: written)
        else { return nil }
        self.by = by
        self.reason = reason
        self.at = at
        switch members["failures"] {
        case .number(let count): failures = count
        case nil: failures = nil
        default: return nil
        }
    }
}
