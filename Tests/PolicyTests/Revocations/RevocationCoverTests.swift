import Policy
import Testing
import Wire

@Suite struct `A revocation covers another one` {
    private let now = Instant(nanoseconds: 1_000_000_000)

    private func record(
        _ name: String = "alice", _ cutoff: RevocationCutoff = .everyToken, from: Int64? = nil, ends: Interval? = nil
    ) throws -> RevocationRecord {
        RevocationRecord(
            target: try #require(RevocationTarget(.subject, name)), cutoff: cutoff,
            from: from.map { WallTime(milliseconds: $0) }, origin: .command, reason: "", actor: "alice",
            since: WallTime(milliseconds: 0), deadline: ends.map { now + $0 } ?? .never)
    }

    private func before(_ milliseconds: Int64) -> RevocationCutoff {
        .issuedBefore(WallTime(milliseconds: milliseconds))
    }

    @Test func `when every token that one refuses is refused by it`() throws {
        #expect(try record().covers(record()))
        #expect(try record().covers(record("alice", before(5))))
        #expect(try record("alice", before(6)).covers(record("alice", before(5))))
        #expect(try record().covers(record(from: 5)))
        #expect(try record(from: 5).covers(record(from: 5)))
        #expect(try record().covers(record(ends: .seconds(1))))
        #expect(try record(ends: .seconds(2)).covers(record(ends: .seconds(1))))
    }

    @Test func `when the same is said twice, of which the ends are told in whole seconds`() throws {
        #expect(try record(ends: .seconds(1)).covers(record(ends: .seconds(3))))
    }

    @Test func `not when some would be accepted again`() throws {
        #expect(try !record("alice", before(5)).covers(record()))
        #expect(try !record("alice", before(4)).covers(record("alice", before(5))))
        #expect(try !record(from: 5).covers(record()))
        #expect(try !record(from: 6).covers(record(from: 5)))
        #expect(try !record(ends: .seconds(1)).covers(record()))
        #expect(try !record(ends: .seconds(1)).covers(record(ends: .seconds(4))))
        #expect(try !record("bob").covers(record()))
    }
}
