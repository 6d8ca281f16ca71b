import Policy
import Testing
import Wire

@testable import Ledger

func revocation(
    _ name: String, _ kind: RevocationTarget.Kind = .subject, cutoff: RevocationCutoff = .everyToken,
    for duration: Interval? = nil, reason: String = "stolen"
) -> RevocationRecord {
    RevocationRecord(
        target: RevocationTarget(kind, name)!, cutoff: cutoff, origin: .command, reason: reason, actor: "alice",
        since: .now(), deadline: duration.map { Instant.now() + $0 } ?? .never)
}

extension Harness {
    /// Whether a worker would refuse a token of that name.
    func isRevoked(
        _ name: String, _ kind: RevocationTarget.Kind = .subject, issued: WallTime? = WallTime(seconds: 1_000)
    ) -> Bool {
        revoked.revokes(
            TokenMarks(names: [TokenMark(kind, Array(name.utf8).span)], issuedAt: issued), at: .now())
    }

    func revoke(_ ledger: any Ledger, _ record: RevocationRecord) throws -> Decider {
        var outcome: Decider?
        ledger.revoke(record) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }

    func unrevoke(
        _ ledger: any Ledger, _ name: String, _ kind: RevocationTarget.Kind = .subject
    ) throws -> (lifted: RevocationRecord?, decider: Decider) {
        var outcome: (RevocationRecord?, Decider)?
        ledger.unrevoke(RevocationTarget(kind, name)!, actor: "bob") { outcome = ($0, $1) }
        wait { outcome != nil }
        return try #require(outcome)
    }

    /// Names of the revocations that the ledger lists.
    func names(_ ledger: any Ledger) -> Set<String> { Set(ledger.revocations().map(\.target.text)) }
}
