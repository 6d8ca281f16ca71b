import TestSupport
import Testing
import Wire

@testable import Policy
@testable import Settings

private let now = Mint.now
private let soon = now + .seconds(60)
private let later = now + .seconds(3_600)

private func record(
    _ name: String, from: WallTime? = nil, _ cutoff: RevocationCutoff = .everyToken,
    kind: RevocationTarget.Kind = .key
) -> RevocationRecord {
    RevocationRecord(
        target: RevocationTarget(kind, name)!, cutoff: cutoff, from: from, origin: .command, reason: "r", actor: "a",
        since: now, deadline: .never)
}

/// The keys `main`, `next`, and of the entry `idp` the keys `idp/r1` and `idp/e1`.
private func ring(_ revocations: RevocationRecord..., used: Set<String> = []) -> KeyRing {
    let tokens = Mint.tokens([
        Mint.key(), Mint.key("next", secret: "the next secret, as long as it must be"),
        Mint.jwks("idp", [TokenVectors.rsaJWK, TestKeys.p256JWK]),
    ])
    return KeyRing(KeySet.build(from: tokens).keys, revocations: revocations, used: used)
}

extension KeyRing {
    fileprivate func state(_ label: String, at time: WallTime = now) -> KeyState? {
        keys.keys.first { $0.label == label }.map { state(of: $0, at: time) }
    }

    fileprivate func states(at time: WallTime = now) -> [KeyState] { keys.keys.map { state(of: $0, at: time) } }
}

@Suite struct `A key of the ring` {
    @Test func `is verified with until its first token makes it active`() {
        let ring = ring(used: ["next", "idp/e1"])
        #expect(ring.states() == [.verifyOnly, .active, .verifyOnly, .active])
    }

    @Test func `is retiring until its time, and revoked from it on`() {
        let ring = ring(record("main", from: soon), used: ["main"])
        #expect(ring.state("main") == .retiring(until: soon))
        #expect(ring.state("main", at: soon + .milliseconds(-1)) == .retiring(until: soon))
        #expect(ring.state("main", at: soon) == .revoked(since: soon))
        #expect(ring.state("main", at: later) == .revoked(since: soon))
        #expect(ring.state("next") == .verifyOnly)
    }

    @Test func `is revoked since it was said, where no time was`() {
        #expect(ring(record("main")).state("main", at: later) == .revoked(since: now))
    }

    @Test func `is one of a set by its label, or all of them by the entry`() {
        #expect(ring(record("idp/r1")).states() == [.verifyOnly, .verifyOnly, .revoked(since: now), .verifyOnly])
        #expect(
            ring(record("idp", from: soon)).states()
                == [.verifyOnly, .verifyOnly, .retiring(until: soon), .retiring(until: soon)])
    }

    @Test(arguments: [(soon, later), (later, soon)])
    func `goes at the earlier of two times, its own and that of its entry`(own: WallTime, entry: WallTime) {
        let ring = ring(record("idp/r1", from: own), record("idp", from: entry))
        #expect(ring.state("idp/r1") == .retiring(until: soon))
        #expect(ring.state("idp/e1") == .retiring(until: entry))
        #expect(ring.state("idp/r1", at: soon) == .revoked(since: soon))
    }

    @Test func `is revoked with its entry, whatever time it had`() {
        #expect(ring(record("idp/r1", from: later), record("idp")).state("idp/r1") == .revoked(since: now))
        #expect(ring(record("idp/r1"), record("idp", from: later)).state("idp/r1") == .revoked(since: now))
        #expect(ring(record("idp/r1"), record("idp", from: later)).state("idp/e1") == .retiring(until: later))
    }

    @Test func `is not touched by what was said of others, of older tokens, or of users of its name`() {
        let ring = ring(
            record("mai"), record("idp/"), record("main", .issuedBefore(now)), record("main", kind: .subject))
        #expect(ring.states() == [.verifyOnly, .verifyOnly, .verifyOnly, .verifyOnly])
        #expect(ring.record(of: "main") == nil)
        #expect(ring.record(of: "idp/")?.target.text == "idp/")
        #expect(ring.record(of: "") == nil)
    }

    @Test func `is found by its label, and with its siblings by its entry`() {
        let ring = ring()
        #expect(ring.keys(named: "main").map(\.label) == ["main"])
        #expect(ring.keys(named: "idp").map(\.label) == ["idp/r1", "idp/e1"])
        #expect(ring.keys(named: "idp/e1").map(\.label) == ["idp/e1"])
        #expect(ring.keys(named: "idp/").isEmpty)
        #expect(ring.keys(named: "").isEmpty)
    }

    @Test func `leaves those that go on for longer`() {
        let ring = ring(record("next", from: soon), record("idp/r1"))
        func others(_ name: String, at time: WallTime) -> [String] {
            ring.others(than: name, acceptedAt: time, now: now).map(\.label)
        }
        #expect(others("main", at: now) == ["next", "idp/e1"])
        #expect(others("main", at: soon) == ["idp/e1"], "from the time on it is refused")
        #expect(others("idp", at: now) == ["main", "next"])
        #expect(others("idp/e1", at: later) == ["main"])
    }

    @Test func `has twins where another is made of the same`() {
        let tokens = Mint.tokens([
            Mint.key(), Mint.key("copy"), Mint.key("next", secret: "the next secret, as long as it must be"),
            Mint.jwks("a", [TokenVectors.rsaJWK]), Mint.jwks("b", [TokenVectors.rsaJWK, TestKeys.p256JWK]),
        ])
        let ring = KeyRing(KeySet.build(from: tokens).keys, revocations: [], used: [])
        #expect(ring.twins(of: "main") == ["copy"])
        #expect(ring.twins(of: "next").isEmpty)
        #expect(ring.twins(of: "a") == ["b/r1"])
        #expect(ring.twins(of: "b/r1") == ["a/r1"])
        #expect(ring.twins(of: "b/e1").isEmpty)
    }
}

@Suite struct `The state of a key` {
    @Test func `has a word`() {
        let all: [KeyState] = [.verifyOnly, .active, .retiring(until: soon), .revoked(since: now)]
        #expect(all.map(\.word) == ["verify-only", "active", "retiring", "revoked"])
    }

    @Test func `says whether tokens are good at a time`() {
        #expect(KeyState.verifyOnly.isAccepted(at: later))
        #expect(KeyState.active.isAccepted(at: later))
        #expect(KeyState.retiring(until: soon).isAccepted(at: soon + .milliseconds(-1)))
        #expect(!KeyState.retiring(until: soon).isAccepted(at: soon))
        #expect(!KeyState.revoked(since: later).isAccepted(at: now))
    }
}
