import Glibc
import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

/// Two replicas on one Redis. The first reaches it by a link that can be taken away, so that it alone is cut off.
private final class TwoReplicas {
    let fixture: RedisFixture
    let far = Harness()
    private let place = TemporaryDirectory()
    private let link: String
    private(set) var cutOff: RedisLedger
    let other: RedisLedger

    var near: Harness { fixture.harness }

    init() throws {
        fixture = try RedisFixture(deadline: .milliseconds(200))
        link = place.path + "/link"
        symlink(fixture.server.socket, link)
        cutOff = try fixture.open(location: .unix(path: link))
        other = try fixture.openReplica(cutOff.configuration.moved(to: fixture.server.socket), for: far)
        try #require(near.wait { isInStep(cutOff) } && far.wait { isInStep(other) })
    }

    private func isInStep(_ ledger: RedisLedger) -> Bool {
        if case .inStep = ledger.phase { ledger.state == .connected } else { false }
    }

    func cut() throws {
        unlink(link)
        for kind in ["normal", "pubsub"] {
            _ = try fixture.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        }
        try #require(near.wait { cutOff.state.word == "degraded" })
        try #require(far.wait { other.totals.reconnects > 0 && isInStep(other) })
    }

    /// The next word is later, on clocks of milliseconds.
    func moment() {
        let now = WallTime.now()
        while WallTime.now() <= now { usleep(200) }
    }

    /// While it is cut off.
    func restart() throws {
        near.stop(cutOff)
        cutOff = try fixture.open(location: .unix(path: link))
    }

    /// Until both have heard everything.
    func mend() throws {
        symlink(fixture.server.socket, link)
        let isTold = near.wait {
            isInStep(cutOff) && cutOff.pendingRevocations.isEmpty && cutOff.pendingRevocationLifts.isEmpty
                && cutOff.pendingBlocks.isEmpty && cutOff.pendingLifts.isEmpty && cutOff.pendingShared.isEmpty
        }
        try #require(isTold)
        #expect(cutOff.words.isEmpty)
    }

    func agree(_ condition: (Harness) -> Bool) -> Bool { near.wait { condition(near) } && far.wait { condition(far) } }

    func stop() {
        near.stop(cutOff)
        far.stop(other)
    }
}

extension Configuration.Redis {
    fileprivate func moved(to path: String) -> Configuration.Redis {
        var copy = self
        copy.location = .unix(path: path)
        return copy
    }
}

extension Harness {
    fileprivate func share(_ ledger: RedisLedger, _ name: SharedName, _ text: String?, for seconds: Int? = nil) throws {
        var isDone = false
        ledger.share(name, text.map { SharedText($0, until: seconds.map { .now() + .seconds($0) } ?? .never) }) { _ in
            isDone = true
        }
        try #require(wait { isDone })
    }

    fileprivate var overtaken: [String] {
        events.compactMap { if case .overtaken(let key) = $0 { key } else { nil } }.sorted()
    }
}

private func lockdown(_ reason: String) -> String {
    #"{"by":"uid:0","reason":"\#(reason)","allow":["10.0.0.0/8"],"at":"\#(WallTime.now().text)"}"#
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `What is said on a replica that is cut off` {
    private let narrow = RevocationCutoff.issuedBefore(WallTime(seconds: 500))

    @Test func `of revocations does not undo what another one said later`() throws {
        let two = try TwoReplicas()
        for name in ["again", "gone", "weaker"] { _ = try two.near.revoke(two.cutOff, revocation(name)) }
        #expect(two.far.wait { two.far.isRevoked("weaker") })
        try two.cut()
        #expect(try two.near.unrevoke(two.cutOff, "again").decider == .local)
        for name in ["gone", "weaker", "never"] {
            _ = try two.near.revoke(two.cutOff, revocation(name, cutoff: narrow))
        }
        two.moment()
        _ = try two.far.revoke(two.other, revocation("again", for: .seconds(300), reason: "second"))
        _ = try two.far.revoke(two.other, revocation("weaker", reason: "second"))
        for name in ["gone", "never"] { _ = try two.far.unrevoke(two.other, name) }
        try two.mend()
        #expect(two.agree { $0.isRevoked("again") && $0.isRevoked("weaker") })
        #expect(two.agree { !$0.isRevoked("gone", issued: nil) && !$0.isRevoked("never", issued: nil) })
        #expect(two.cutOff.revocations().allSatisfy { $0.reason == "second" })
        #expect(two.cutOff.revocations() == two.cutOff.revocations().filter { $0.cutoff == .everyToken })
        #expect(
            two.near.overtaken == ["revoked:sub:again", "revoked:sub:gone", "revoked:sub:never", "revoked:sub:weaker"])
        two.stop()
    }

    @Test func `of revocations stands when it was said last`() throws {
        let two = try TwoReplicas()
        for name in ["lifted", "weaker"] { _ = try two.near.revoke(two.cutOff, revocation(name)) }
        try two.cut()
        for name in ["lifted", "weaker"] { _ = try two.far.revoke(two.other, revocation(name, reason: "first")) }
        _ = try two.far.unrevoke(two.other, "new")
        two.moment()
        _ = try two.near.unrevoke(two.cutOff, "lifted")
        for name in ["weaker", "new"] { _ = try two.near.revoke(two.cutOff, revocation(name, cutoff: narrow)) }
        try two.mend()
        #expect(two.agree { !$0.isRevoked("lifted") && !$0.isRevoked("weaker") && $0.isRevoked("new", issued: nil) })
        #expect(Set(two.other.revocations().map(\.cutoff)) == [narrow])
        #expect(two.near.overtaken == [])
        two.stop()
    }

    @Test func `of blocks does not undo what another one said later, and stands otherwise`() throws {
        let two = try TwoReplicas()
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.4"] {
            _ = try two.near.block(two.cutOff, address, for: .seconds(300))
        }
        try two.cut()
        _ = try two.far.block(two.other, "192.0.2.4", for: .seconds(300))
        two.moment()
        for address in ["192.0.2.1", "192.0.2.4"] {
            _ = try two.near.unblock(two.cutOff, .network(IPNetwork(address)!))
        }
        for address in ["192.0.2.2", "192.0.2.3", "192.0.2.5"] {
            _ = try two.near.block(two.cutOff, address, for: .seconds(3_000))
        }
        two.moment()
        _ = try two.far.block(two.other, "192.0.2.1", for: .seconds(600))
        _ = try two.far.block(two.other, "192.0.2.2", for: .seconds(60))
        _ = try two.far.unblock(two.other, .network(IPNetwork("192.0.2.3")!))
        try two.mend()
        #expect(
            two.agree {
                $0.isBlocked("192.0.2.1") && $0.isBlocked("192.0.2.2") && !$0.isBlocked("192.0.2.3")
                    && !$0.isBlocked("192.0.2.4") && $0.isBlocked("192.0.2.5")
            })
        #expect(
            two.near.wait { (two.cutOff.blocks().map { $0.deadline - Instant.now() }.min() ?? .zero) < .seconds(61) })
        #expect((30...60).contains(try two.fixture.server.integer("TTL", "ip_block:192.0.2.2")))
        #expect(two.near.overtaken == ["ip_block:192.0.2.1", "ip_block:192.0.2.2", "ip_block:192.0.2.3"])
        two.stop()
    }

    /// Whoever unblocks an address forgets its failures, those too that are counted where he does not see them.
    @Test func `by a rule gives way to an operator's later unblock`() throws {
        let two = try TwoReplicas()
        try two.cut()
        for _ in 1...5 { _ = try two.near.fail(two.cutOff, "198.51.100.7") }
        for _ in 1...5 { _ = try two.near.fail(two.cutOff, "198.51.100.9") }
        for _ in 1...3 { _ = try two.near.fail(two.cutOff, "198.51.100.8") }
        #expect(two.near.isBlocked("198.51.100.7") && two.near.isBlocked("198.51.100.9"))
        two.moment()
        for address in ["198.51.100.7", "198.51.100.8"] {
            _ = try two.far.unblock(two.other, .network(IPNetwork(address)!))
        }
        two.moment()
        _ = try two.near.fail(two.cutOff, "198.51.100.8")
        try two.mend()
        #expect(two.near.wait { two.cutOff.unsettled.isEmpty })
        #expect(two.agree { !$0.isBlocked("198.51.100.7") && $0.isBlocked("198.51.100.9") })
        #expect(try two.fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(try two.fixture.redis("GET", "login_fail:198.51.100.8") == "1")
        #expect(try two.fixture.redis("GET", "login_fail:198.51.100.9") == "5")
        #expect(two.near.overtaken == [])
        two.stop()
    }

    @Test func `of lockdowns and keys does not undo what another one said later, and stands otherwise`() throws {
        let two = try TwoReplicas()
        let names = ["/closed", "/opened", "/last"].map { SharedName(.lockdown, $0)! }
        let keys = ["removed", "added", "last"].map { SharedName(.key, $0)! }
        try two.near.share(two.cutOff, names[0], lockdown("old"), for: 300)
        try two.near.share(two.cutOff, names[2], lockdown("old"), for: 300)
        for key in [keys[0], keys[2]] { try two.near.share(two.cutOff, key, "sealed") }
        #expect(two.far.wait { two.far.shared.count == 4 })
        try two.cut()
        try two.near.share(two.cutOff, names[0], nil)
        try two.near.share(two.cutOff, names[1], lockdown("here"), for: 300)
        try two.near.share(two.cutOff, keys[0], nil)
        try two.near.share(two.cutOff, keys[1], "sealed here")
        try two.far.share(two.other, names[2], lockdown("first"), for: 300)
        try two.far.share(two.other, keys[2], "sealed first")
        two.moment()
        try two.far.share(two.other, names[0], lockdown("there"), for: 300)
        try two.far.share(two.other, names[1], nil)
        try two.far.share(two.other, keys[0], "sealed there")
        try two.far.share(two.other, keys[1], nil)
        try two.near.share(two.cutOff, names[2], nil)
        try two.near.share(two.cutOff, keys[2], nil)
        try two.mend()
        #expect(two.agree { $0.texts(.key) == ["removed": "sealed there"] })
        #expect(two.agree { $0.texts(.lockdown).keys.sorted() == ["/closed"] })
        #expect(two.agree { $0.texts(.lockdown)["/closed"]?.contains("there") == true })
        #expect(
            two.near.overtaken == ["keyring:added", "keyring:removed", "lockdown:/closed", "lockdown:/opened"])
        two.stop()
    }

    /// What was set by hand does not say when: it counts as later, unless it was known when the word was said.
    @Test func `gives way to what was set by hand meanwhile, and not to what was seen before`() throws {
        let two = try TwoReplicas()
        let admin = SharedName(.lockdown, "/admin")!
        for key in ["revoked:sub:known", "ip_block:192.0.2.1", "lockdown:/admin"] {
            _ = try two.fixture.redis("SET", key, "1", "EX", "300")
        }
        #expect(two.agree { $0.isRevoked("known") && $0.isBlocked("192.0.2.1") && $0.shared.count == 1 })
        _ = try two.near.revoke(two.cutOff, revocation("new"))
        try two.cut()
        for name in ["known", "new"] { _ = try two.near.unrevoke(two.cutOff, name) }
        for address in ["192.0.2.1", "192.0.2.2"] {
            _ = try two.near.unblock(two.cutOff, .network(IPNetwork(address)!))
        }
        try two.near.share(two.cutOff, admin, nil)
        two.moment()
        _ = try two.fixture.redis("SET", "revoked:sub:new", "1")
        _ = try two.fixture.redis("LPUSH", "ip_block:192.0.2.2", "x")
        // Over a restart, too.
        try two.restart()
        try two.mend()
        #expect(two.agree { !$0.isRevoked("known") && $0.isRevoked("new", issued: .now()) })
        #expect(two.agree { !$0.isBlocked("192.0.2.1") && $0.isBlocked("192.0.2.2") && $0.shared.isEmpty })
        #expect(two.near.overtaken == ["ip_block:192.0.2.2", "revoked:sub:new"])
        two.stop()
    }

    /// The text of the script is sent behind what was asked meanwhile.
    @Test func `is settled when all of it is answered, also after SCRIPT FLUSH`() throws {
        let two = try TwoReplicas()
        for number in 1...3 { _ = try two.near.revoke(two.cutOff, revocation("user-\(number)")) }
        for number in 1...3 { _ = try two.near.block(two.cutOff, "192.0.2.\(number)", for: .seconds(300)) }
        _ = try two.fixture.redis("SCRIPT", "FLUSH")
        let outcome = try two.near.unblock(two.cutOff, .all)
        #expect(outcome.decider == .authority && outcome.lifted.count == 3)
        #expect(two.cutOff.pendingLifts.isEmpty && two.cutOff.words.isEmpty)
        let left = ["ip_block:192.0.2.1", "ip_block:192.0.2.2", "ip_block:192.0.2.3"]
        #expect(try two.fixture.server.command(["EXISTS"] + left) == "0")
        _ = try two.fixture.redis("SCRIPT", "FLUSH")
        for number in 1...3 { #expect(try two.near.unrevoke(two.cutOff, "user-\(number)").decider == .authority) }
        #expect(two.agree { !$0.isRevoked("user-1") && !$0.isBlocked("192.0.2.3") })
        two.stop()
    }

    /// Two words in a row: the answer to the first settles nothing of the second.
    @Test func `of a block is not settled by the answer to an earlier one`() throws {
        let two = try TwoReplicas()
        let network = IPNetwork("192.0.2.1")!
        var answers = 0
        two.cutOff.block(network, for: .seconds(300), reason: "abuse", actor: "alice") { _ in
            answers += 1
            #expect(two.cutOff.pendingBlocks == [BlockSubject(network)])
        }
        two.cutOff.block(network, for: .seconds(900), reason: "abuse", actor: "alice") { _ in answers += 1 }
        #expect(two.near.wait { answers == 2 })
        #expect(two.cutOff.pendingBlocks.isEmpty && two.cutOff.words.isEmpty)
        #expect(try two.fixture.server.integer("TTL", "ip_block:192.0.2.1") > 800)
        two.stop()
    }

    @Test func `keeps its time over a restart`() throws {
        let two = try TwoReplicas()
        _ = try two.near.revoke(two.cutOff, revocation("again"))
        #expect(two.far.wait { two.far.isRevoked("again") })
        try two.cut()
        _ = try two.near.unrevoke(two.cutOff, "again")
        _ = try two.near.revoke(two.cutOff, revocation("gone"))
        two.moment()
        _ = try two.far.revoke(two.other, revocation("again", reason: "second"))
        _ = try two.far.unrevoke(two.other, "gone")
        two.moment()
        try two.restart()
        try two.mend()
        #expect(two.agree { $0.isRevoked("again") && !$0.isRevoked("gone") })
        two.stop()
    }

    @Test func `is carried over with its time, and marks go by themselves`() throws {
        let two = try TwoReplicas()
        try two.cut()
        _ = try two.near.unrevoke(two.cutOff, "alice")
        try two.mend()
        let mark = "gateway:said:{revoked:sub:alice}"
        #expect(try two.fixture.redis("GET", mark).hasSuffix("Z"))
        #expect((604_000...604_800).contains(try two.fixture.server.integer("TTL", mark)))
        // By a word that is said in this moment nothing is compared.
        _ = try two.fixture.redis(
            "SET", "revoked:sub:alice", #"{"by":"x","reason":"y","at":"2999-01-01T00:00:00.000Z"}"#)
        #expect(two.near.wait { two.near.isRevoked("alice") })
        #expect(try two.near.unrevoke(two.cutOff, "alice").decider == .authority)
        #expect(try two.fixture.redis("EXISTS", "revoked:sub:alice") == "0")
        two.stop()
    }
}

@Suite struct `A word in the journal` {
    @Test func `comes back whole until it is settled`() throws {
        let long = StoreKey(text: "revoked:sub:" + String(repeating: "é", count: 256))
        let words = [long: Word(at: WallTime(milliseconds: 5), overHand: true)]
        var bytes = JournalCoding.magic
        let other = StoreKey(text: "ip_block:192.0.2.1")
        for record in [
            JournalRecord.word(long, words[long]!), .word(other, Word(at: .now(), overHand: false)),
            .wordSettled(other),
        ] { JournalCoding.append(record, to: &bytes) }
        var state = JournalState()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.words == words)
        var again = JournalCoding.magic
        try state.forEachRecord { JournalCoding.append($0, to: &again) }
        var copy = JournalState()
        _ = JournalCoding.replay(again, into: &copy)
        #expect(copy == state)
    }
}
