import Policy
import Settings
import Testing
import Wire

@testable import Ledger

private let here = Configuration.SocketAddressText(host: "192.0.2.9", port: 6379)

@Suite struct `The slot of a key` {
    @Test func `comes of the checksum that the specification of Redis Cluster names`() {
        #expect(RedisSlot.crc16(Array("123456789".utf8)[...]) == 0x31C3)
        #expect(RedisSlot.crc16([]) == 0)
    }

    @Test(arguments: [("foo", 12_182), ("bar", 5_061), ("hello", 866), ("", 0), ("ip_block:192.0.2.1", 10_714)])
    func `is what redis-cli says`(_ key: String, _ slot: Int) {
        #expect(RedisSlot.of(key) == slot)
    }

    @Test func `is that of the hash tag, as in the examples of the specification`() {
        func hashed(_ key: String) -> String { String(decoding: RedisSlot.hashed(Array(key.utf8)), as: UTF8.self) }
        #expect(hashed("{user1000}.following") == "user1000" && hashed("{user1000}.followers") == "user1000")
        #expect(hashed("foo{}{bar}") == "foo{}{bar}")
        #expect(hashed("foo{{bar}}zap") == "{bar")
        #expect(hashed("foo{bar}{zap}") == "bar")
        #expect(hashed("foo{bar") == "foo{bar" && hashed("foo}bar{") == "foo}bar{" && hashed("{") == "{")
    }

    @Test func `can be wished for`() {
        for slot in [0, 1, 5_461, 10_923, 16_383] { #expect(RedisSlot.of("x:{\(RedisSlot.tag(for: slot))}:y") == slot) }
    }

    @Test func `is led to by the lowest number that does`() {
        var lowest: [Int: Int] = [:]
        for number in 0..<2_000 {
            let slot = RedisSlot.of(String(number))
            if lowest[slot] == nil { lowest[slot] = number }
        }
        #expect(lowest.allSatisfy { RedisSlot.tag(for: $0) == String($1) })
        #expect((0..<RedisSlot.count).allSatisfy { RedisSlot.of(RedisSlot.tag(for: $0)) == $0 })
    }

    @Test(arguments: ["", "shop:"]) func `is one for all keys of a script`(_ prefix: String) {
        let keyspace = RedisKeyspace(prefix: prefix)
        for address in ["192.0.2.1", "2001:db8::7"] {
            let network = IPNetwork(address)!
            let key = LoginKey(network)
            let block = BlockKey.block(network)
            for together in [
                [BlockKey.failures(key), BlockKey.seen(key), BlockKey.pending(key)],
                [block, BlockKey.history(BlockSubject(network)), RedisLedger.mark(of: block)],
            ] {
                #expect(Set(together.map { RedisSlot.of(keyspace.stored($0)) }).count == 1)
            }
        }
    }
}

@Suite struct `The map of slots` {
    private func node(_ host: RESPValue, _ port: Int64, _ id: String = "id") -> RESPValue {
        .array([host, .integer(port), .bytes(Array(id.utf8)), .array([])])
    }

    private func text(_ text: String) -> RESPValue { .bytes(Array(text.utf8)) }

    private func range(_ first: Int64, _ last: Int64, _ nodes: RESPValue...) -> RESPValue {
        .array([.integer(first), .integer(last)] + nodes)
    }

    private func refusal(_ reply: RESPValue) -> String {
        do throws(LedgerError) {
            _ = try RedisSlotMap(reply, toldBy: here)
            return "none"
        } catch {
            return error.description
        }
    }

    @Test func `names the master of each slot, by their lowest ones`() throws {
        let map = try RedisSlotMap(
            .array([
                range(8_000, 16_383, node(text("10.0.0.2"), 7_001, "b"), node(text("10.0.0.4"), 7_003)),
                range(0, 100, node(text("10.0.0.1"), 7_000, "a")),
                range(101, 7_999, node(text("2001:db8::3"), 7_002, "c")),
            ]), toldBy: here)
        #expect(map.masters.map(\.address.text) == ["10.0.0.1:7000", "[2001:db8::3]:7002", "10.0.0.2:7001"])
        #expect(map.masters.map(\.id) == ["a", "c", "b"] && map.masters.map(\.lowestSlot) == [0, 101, 8_000])
        #expect(map.masters.map(\.slots) == [101, 7_899, 8_384])
        #expect(map.replicas.map(\.text) == ["10.0.0.4:7003"])
        #expect([0, 100, 101, 7_999, 8_000, 16_383].map { map.master(of: $0).id } == ["a", "a", "c", "c", "b", "b"])
    }

    @Test func `takes several ranges of one master together`() throws {
        let map = try RedisSlotMap(
            .array([
                range(0, 0, node(text("10.0.0.1"), 7_000)), range(1, 16_382, node(text("10.0.0.2"), 7_000)),
                range(16_383, 16_383, node(text("10.0.0.1"), 7_000)),
            ]), toldBy: here)
        #expect(map.masters.map(\.slots) == [2, 16_382] && map.master(of: 16_383).address.host == "10.0.0.1")
    }

    @Test func `has whoever told of it where it leaves the address out`() throws {
        for host in [RESPValue.null, text("")] {
            let map = try RedisSlotMap(.array([range(0, 16_383, node(host, 7_000))]), toldBy: here)
            #expect(map.masters[0].address.text == "192.0.2.9:7000")
        }
    }

    @Test func `is none when a slot is nobody's, or two nodes'`() {
        #expect(refusal(.array([])) == "the slots 0 to 16383 are served by no node: see CLUSTER SLOTS")
        let most = range(0, 99, node(text("a"), 1))
        #expect(
            refusal(.array([most, range(101, 16_383, node(text("a"), 1))]))
                == "slot 100 is served by no node: see CLUSTER SLOTS")
        #expect(refusal(.array([most])) == "the slots 100 to 16383 are served by no node: see CLUSTER SLOTS")
        #expect(
            refusal(.array([range(0, 16_383, node(text("a"), 1)), range(5, 6, node(text("b"), 1))]))
                == "slot 5 stands twice in the reply to CLUSTER SLOTS")
    }

    @Test func `is none of what is no map`() {
        #expect(refusal(.error("ERR no")) == "ERR no")
        #expect(refusal(.status("OK")) == "an unexpected reply to CLUSTER SLOTS")
        let some = node(text("a"), 1)
        let bad: [RESPValue] = [
            .null, .array([]), .array([.integer(0), .integer(5)]), range(-1, 5, some), range(6, 5, some),
            range(0, 16_384, some), range(0, .max, some), .array([text("0"), text("5"), some]),
        ]
        for range in bad {
            #expect(refusal(.array([range])) == "an unexpected range in the reply to CLUSTER SLOTS", "\(range)")
        }
        for port in [0, -1, 65_536, Int64.max] {
            #expect(
                refusal(.array([range(0, 16_383, node(text("a"), port))]))
                    == "a node without a port in the reply to CLUSTER SLOTS")
        }
        #expect(
            refusal(.array([range(0, 16_383, .null)])) == "a node without a port in the reply to CLUSTER SLOTS")
        for host in ["?", "a b", "a\n", "a\"", String(repeating: "a", count: 254)] {
            #expect(
                refusal(.array([range(0, 16_383, node(text(host), 1))])).hasPrefix("a node of the cluster announces"))
        }
    }

    @Test func `is bounded`() {
        let tooMany = (0...Int64(RedisSlot.count)).map { range($0, $0, node(text("a"), 1)) }
        #expect(refusal(.array(tooMany)) == "an unexpected reply to CLUSTER SLOTS")
        let masters = (0..<Int64(1_001)).map { range($0, $0, node(text("a"), $0 + 1)) }
        #expect(refusal(.array(masters)) == "the cluster has more than 1000 masters")
    }
}

@Suite struct `What a node of a cluster says instead of an answer` {
    private func read(_ error: String) -> RedisRedirect? { RedisRedirect(error, toldBy: here) }

    @Test func `sends on`() {
        #expect(read("MOVED 3999 127.0.0.1:6381") == .moved(to: .init(host: "127.0.0.1", port: 6_381)))
        #expect(read("ASK 3999 2001:db8::7:6381") == .ask(.init(host: "2001:db8::7", port: 6_381)))
        #expect(read("MOVED 3999 redis-1.example:6381") == .moved(to: .init(host: "redis-1.example", port: 6_381)))
        #expect(read("MOVED 3999 :6381") == .moved(to: .init(host: "192.0.2.9", port: 6_381)))
    }

    @Test func `asks for patience, or is the end`() {
        #expect(read("TRYAGAIN Multiple keys request during rehashing of slot") == .tryAgain)
        #expect(read("CLUSTERDOWN The cluster is down") == .down)
        #expect(read("CLUSTERDOWN Hash slot not served") == .down)
    }

    @Test(arguments: [
        "MOVED", "MOVED 1", "MOVED 1 host", "ASK 1 host:", "ASK 1 host:70000", "MOVED 1 a\"b:1", "MOVED 1 ?:1",
    ])
    func `leads nowhere when it cannot be read`(_ error: String) { #expect(read(error) == .unreadable) }

    @Test(arguments: ["", "ERR no", "MOVEDX 1 a:1", "WRONGTYPE Operation against a key"])
    func `is an answer when it is nothing of it`(_ error: String) { #expect(read(error) == nil) }
}

@Suite struct `The marks of data` {
    private func reading(_ texts: [String: String], _ current: Set<String> = ["a", "b"]) -> RedisEpochs.Reading {
        var reading = RedisEpochs.Reading()
        reading.texts = texts
        reading.current = current
        return reading
    }

    @Test func `tell of each server whether it has the data that we knew`() {
        var epochs = RedisEpochs()
        #expect(epochs.isKept("a", reading(["a": "1"])), "nothing was known")
        #expect(!epochs.isKept("a", reading([:])), "nor is anything there")
        let isNew = epochs.adopt(["a": "1", "b": "2"], of: ["a", "b"])
        let isNewAgain = epochs.adopt(["a": "1"], of: ["a", "b"])
        #expect(isNew && !isNewAgain)
        #expect(epochs.isKept("a", reading(["a": "1"])) && epochs.isKept("a", reading(["a": ""])))
        #expect(!epochs.isKept("b", reading(["a": "1"])), "lost")
        #expect(!epochs.isKept("b", reading(["b": "3"])), "lost, and another replica came first")
        #expect(epochs.isUnchanged("c", reading([:])) && !epochs.isUnchanged("b", reading([:])))
        let isForgotten = epochs.adopt([:], of: ["a"])
        #expect(isForgotten && epochs.known == ["a": "1"])
    }

    @Test func `tell that a master is gone for good, and others were given its slots empty`() {
        var epochs = RedisEpochs()
        _ = epochs.adopt(["a": "1", "b": "2", "c": "3"], of: ["a", "b", "c"])
        // All have their own marks still, and some of their keys were those of the one that is gone.
        #expect(!epochs.isKept("a", reading(["a": "1", "c": "3"], ["a", "c"])))
        #expect(!epochs.isKept("a", reading(["a": "1", "c": "3"], ["a", "b"])), "one has its lowest slot")
        #expect(!epochs.isKept("a", reading(["a": "1", "b": "9", "c": "3"], ["a", "c"])), "marked anew since")
        // Given away with its data, as slots are moved.
        #expect(epochs.isKept("a", reading(["a": "1", "b": "2", "c": "3"], ["a", "c"])))
        var moving = reading(["a": "1", "c": "3"], ["a", "c"])
        moving.unknown = ["b"]
        #expect(epochs.isKept("a", moving), "nobody says that it is gone")
        // A new one, which has no mark yet, says nothing of the others.
        let withNew = reading(["a": "1", "b": "2", "c": "3"], ["a", "b", "c", "d"])
        #expect(epochs.isKept("a", withNew) && !epochs.isKept("d", withNew))
    }

    @Test func `are kept in the journal, the one of a single server as it always was`() {
        #expect(RedisEpochs(text: "2026-11-29T07:00:00.000Z").known == ["gateway:epoch": "2026-11-29T07:00:00.000Z"])
        #expect(RedisEpochs(text: "2026-11-29T07:00:00.000Z").text == "2026-11-29T07:00:00.000Z")
        var epochs = RedisEpochs()
        _ = epochs.adopt(
            ["gateway:epoch:{1}": "x", "gateway:epoch:{2}": "y z"], of: ["gateway:epoch:{1}", "gateway:epoch:{2}"])
        #expect(RedisEpochs(text: epochs.text) == epochs)
        #expect(RedisEpochs(text: RedisEpochs().text) == RedisEpochs())
    }
}

@Suite struct `How changes of a cluster become known` {
    @Test func `is as slow as on the slowest of its nodes`() {
        let heard = RedisSession.Feed.notifications(insteadBecause: "a")
        let looked = RedisSession.Feed.scanning(because: "b")
        #expect(RedisCluster.worst(of: [.tracking, .tracking]) == .tracking)
        #expect(RedisCluster.worst(of: [.tracking, heard, .tracking]) == heard)
        #expect(RedisCluster.worst(of: [heard, looked, .tracking]) == looked)
    }
}

@Suite struct `What is known of a cluster` {
    private typealias Address = RedisSlotMap.Address
    private let book = RedisClusterBook(
        seeds: [Address(host: "redis.example", port: 6_379)], resolve: { _, completion in completion(.success([])) })

    @Test func `leads to another address of a name with each attempt, also where it is the only name`() {
        let before = book.attempts
        book.distrust()
        book.distrust()
        #expect(book.attempts == before + 2 && book.candidates.count == 1)
    }

    @Test func `begins with whoever knew first of a change`() throws {
        let ranges = [(0, 99, "10.0.0.1"), (100, 199, "10.0.0.2"), (200, 16_383, "10.0.0.3")].map { first, last, host in
            RESPValue.array([
                .integer(first), .integer(last), .array([.bytes(Array(host.utf8)), .integer(6_379)]),
            ])
        }
        book.adopt(try RedisSlotMap(.array(ranges), toldBy: here))
        #expect(book.candidates.map(\.host) == ["redis.example", "10.0.0.1", "10.0.0.2", "10.0.0.3"])
        book.prefer(Address(host: "10.0.0.2", port: 6_379))
        #expect(book.candidates.map(\.host) == ["10.0.0.2", "10.0.0.3", "redis.example", "10.0.0.1"])
        book.prefer(Address(host: "10.0.0.9", port: 6_379))
        #expect(book.candidates.first?.host == "10.0.0.2")
    }

    @Test func `looks more and more seldom for a master that is not there`() {
        let absent = Address(host: "10.0.0.4", port: 6_379)
        var now = Instant(nanoseconds: 0)
        func tries(after seconds: Int) -> Bool {
            now = now + .seconds(seconds)
            _ = book.invited(at: now)
            return book.invite(absent, at: now)
        }
        #expect(tries(after: 1))
        for pause in [60, 120, 240, 480, 960, 960] {
            book.letGo(absent, at: now)
            #expect(!tries(after: pause - 1))
            #expect(tries(after: 1), "\(pause)")
        }
        book.letGo(absent, at: now)
        #expect(tries(after: 3_600))
        book.letGo(absent, at: now)
        #expect(tries(after: 60), "forgotten meanwhile")
    }
}
