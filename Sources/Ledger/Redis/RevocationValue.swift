internal import Policy
internal import Wire

/// What the value of a `revoked:` key says. Ours is
/// `{"by":"alice","reason":"stolen laptop","issued_before":"2026-11-29T07:09:16.123Z","at":"2026-11-29T07:09:16.125Z"}`;
/// `issued_before` and `from` stand there when they say something. A number by itself is somebody's
/// `redis-cli SET revoked:sub:alice $(date +%s)`: tokens issued before then. Everything else, of whatever type, means every
/// token: what cannot be understood revokes too much rather than too little.
struct RevocationValue: Hashable {
    var cutoff = RevocationCutoff.everyToken
    var from: WallTime?
    /// Nil: somebody's by hand.
    var signature: Signature?

    struct Signature: Hashable {
        var by: String
        var reason: String
        var at: WallTime
    }

    /// Seconds since 1970 have that many digits from 2001 to 5138; a number of milliseconds has more.
    private static let digitsOfSeconds = 10...11

    init(_ record: RevocationRecord) {
        cutoff = record.cutoff
        from = record.from
        signature = Signature(by: record.actor, reason: record.reason, at: record.since)
    }

    var text: String {
        var members: [String] = []
        if let signature {
            members.append("\"by\":\(FlatObject.quoted(signature.by))")
            members.append("\"reason\":\(FlatObject.quoted(signature.reason))")
        }
        if case .issuedBefore(let time) = cutoff { members.append("\"issued_before\":\"\(time.text)\"") }
        if let from { members.append("\"from\":\"\(from.text)\"") }
        if let signature { members.append("\"at\":\"\(signature.at.text)\"") }
        return "{\(members.joined(separator: ","))}"
    }

    init(_ bytes: [UInt8]) {
        if RevocationValue.digitsOfSeconds.contains(bytes.count), bytes.allSatisfy({ (48...57).contains($0) }),
            bytes[0] != UInt8(ascii: "0"), let seconds = Int64(String(decoding: bytes, as: UTF8.self))
        {
            cutoff = .issuedBefore(WallTime(milliseconds: seconds * 1_000))
            return
        }
        guard let members = FlatObject.read(bytes) else { return }
        func time(_ name: String) -> WallTime? {
            if case .text(let text) = members[name] { WallTime(text: text) } else { nil }
        }
        if let time = time("issued_before") { cutoff = .issuedBefore(time) }
        from = time("from")
        if case .text(let by) = members["by"], case .text(let reason) = members["reason"], let at = time("at") {
            signature = Signature(by: by, reason: reason, at: at)
        }
    }

    /// - Parameter seen: when it was read, for one that does not say since when it is.
    func record(of target: RevocationTarget, seen: WallTime, until deadline: Instant) -> RevocationRecord {
        RevocationRecord(
            target: target, cutoff: cutoff, from: from, origin: signature == nil ? .byHand : .command,
            reason: signature?.reason ?? "set by hand", actor: signature?.by ?? "redis", since: signature?.at ?? seen,
            deadline: deadline)
    }
}
