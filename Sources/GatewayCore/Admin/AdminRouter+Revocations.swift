internal import Policy
internal import Wire

/// A revocation as an operator orders it.
struct RevocationOrder: Hashable, Sendable {
    enum Cutoff: Hashable, Sendable {
        case everyToken
        case issuedBefore(WallTime)
        /// The moment in which it is carried out.
        case issuedBeforeNow
    }

    var target: RevocationTarget
    var cutoff: Cutoff
    /// Nil: until it is taken back.
    var duration: Interval?
    var reason: String

    /// What the body of the request may have.
    static let members =
        RevocationTarget.Kind.allCases.map(\.rawValue) + ["issued_before", "duration_seconds", "reason", "actor"]

    func record(actor: String, at now: Instant, wall: WallTime) -> RevocationRecord {
        let tokens: RevocationCutoff
        switch cutoff {
        case .everyToken: tokens = .everyToken
        case .issuedBefore(let time): tokens = .issuedBefore(time)
        case .issuedBeforeNow: tokens = .issuedBefore(wall)
        }
        return RevocationRecord(
            target: target, cutoff: tokens, origin: .command, reason: reason, actor: actor, since: wall,
            deadline: duration.map { now + $0 } ?? .never)
    }
}

extension AdminRouter {
    func revocation(_ body: JSONValue) throws(AdminProblem) -> RevocationOrder {
        var targets: [RevocationTarget] = []
        for kind in RevocationTarget.Kind.allCases {
            guard let name = try string(kind.rawValue, in: body) else { continue }
            targets.append(try revocationTarget(kind, name))
        }
        guard let target = targets.first, targets.count == 1 else {
            let names = RevocationTarget.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw .unusable("exactly one of \(names) says what is revoked")
        }
        let cutoff = try cutoff(body["issued_before"])
        if target.kind == .token, cutoff != .everyToken {
            throw .unusable("issued_before says nothing of one token: leave it out")
        }
        let duration: Interval?
        switch body["duration_seconds"] {
        case nil, .null: duration = nil
        case .integer(let seconds) where (1...315_360_000).contains(seconds): duration = .seconds(seconds)
        default: throw .unusable("duration_seconds is a whole number from 1 to 315360000, or null for ever")
        }
        return RevocationOrder(target: target, cutoff: cutoff, duration: duration, reason: try reason(in: body))
    }

    private func cutoff(_ value: JSONValue?) throws(AdminProblem) -> RevocationOrder.Cutoff {
        switch value {
        case nil, .null: return .everyToken
        case .string("now"): return .issuedBeforeNow
        case .string(let text):
            if let time = WallTime(text: text) { return .issuedBefore(time) }
        // From 2001 to 5138: milliseconds are no seconds.
        case .integer(let seconds) where (1_000_000_000..<100_000_000_000).contains(seconds):
            return .issuedBefore(WallTime(seconds: Int64(seconds)))
        default: break
        }
        throw .unusable(
            "issued_before is now, a time such as 2026-11-29T07:00:00Z, or whole seconds since 1970")
    }

    /// `sub/alice`, percent-encoded.
    func revocationTarget(inPath path: Substring) throws(AdminProblem) -> RevocationTarget {
        let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = RevocationTarget.Kind(rawValue: String(parts[0])),
            let name = AdminRequestReader.percentDecoded(parts[1])
        else {
            let kinds = RevocationTarget.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw .unusable("the path ends with one of \(kinds), a slash and the name, percent-encoded")
        }
        return try revocationTarget(kind, name)
    }

    private func revocationTarget(
        _ kind: RevocationTarget.Kind, _ name: String
    ) throws(AdminProblem) -> RevocationTarget {
        guard let target = RevocationTarget(kind, name) else {
            throw .unusable("\(kind.rawValue) has 1 to \(RevocationTarget.longestName) bytes")
        }
        return target
    }
}
