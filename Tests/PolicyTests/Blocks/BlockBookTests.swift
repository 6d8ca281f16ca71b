import Policy
import Testing
import Wire

private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

private func record(_ network: String, until deadline: Instant, reason: String = "set by hand") -> BlockRecord {
    BlockRecord(
        network: IPNetwork(network)!, origin: .byHand, reason: reason, actor: "redis", since: WallTime(seconds: 0),
        deadline: deadline)
}

@Suite struct `The book of blocks` {
    @Test func `tells a beginning, a change, an end and nothing apart`() {
        var book = BlockBook()
        let first = record("1.2.3.4", until: at(10))
        let second = record("1.2.3.4", until: at(20))
        #expect(book.set(first) == .began(first))
        #expect(book.set(first) == .none)
        #expect(book.set(second) == .changed(second, from: first))
        #expect(book.remove(key: "ip_block:1.2.3.4") == .ended(second))
        #expect(book.remove(key: "ip_block:1.2.3.4") == .none)
    }

    @Test func `keeps an address blocked until the last of its keys is gone`() {
        var book = BlockBook()
        let canonical = record("1.2.3.4", until: at(10))
        let odd = record("1.2.3.4", until: at(60))
        book.set(canonical)
        #expect(book.set(odd, key: "ip_block:::ffff:1.2.3.4") == .changed(odd, from: canonical))
        #expect(book.keys(of: odd.subject) == ["ip_block:1.2.3.4", "ip_block:::ffff:1.2.3.4"])
        #expect(book.remove(key: "ip_block:::ffff:1.2.3.4") == .changed(canonical, from: odd))
        #expect(book.remove(key: "ip_block:1.2.3.4") == .ended(canonical))
        #expect(book.count == 0)
    }

    @Test func `expires what is over, once, and leaves what was prolonged`() {
        var book = BlockBook()
        book.set(record("1.2.3.4", until: at(10)))
        book.set(record("1.2.3.5", until: at(10)))
        book.set(record("1.2.3.5", until: at(30)))
        book.set(record("1.2.3.6", until: .never))
        #expect(book.nextDeadline == at(10))
        #expect(book.expire(at: at(9)) == [])
        #expect(book.expire(at: at(10)) == [record("1.2.3.4", until: at(10))])
        #expect(book.expire(at: at(29)) == [])
        #expect(book.expire(at: at(31)) == [record("1.2.3.5", until: at(30))])
        #expect(book.records(at: at(1_000)) == [record("1.2.3.6", until: .never)])
    }

    @Test func `names the keys that a round did not see`() {
        var book = BlockBook()
        book.set(record("1.2.3.4", until: at(10)))
        book.set(record("1.2.3.5", until: at(10)))
        book.set(record("1.2.3.5", until: at(10)), key: "ip_block:::ffff:1.2.3.5")
        book.beginRound()
        book.set(record("1.2.3.5", until: at(10)))
        #expect(Set(book.unseen().map(\.key)) == ["ip_block:1.2.3.4", "ip_block:::ffff:1.2.3.5"])
        #expect(book.isUnseen("ip_block:1.2.3.4") && book.isUnseen("ip_block:::ffff:1.2.3.5"))
        #expect(!book.isUnseen("ip_block:1.2.3.5") && !book.isUnseen("ip_block:1.2.3.9") && !book.isUnseen("nonsense"))
        book.set(record("1.2.3.4", until: at(10)))
        #expect(!book.isUnseen("ip_block:1.2.3.4"))
    }

    /// A scan of a million keys, each as it was, is no work for the queue; what has moved is.
    @Test func `end once, at the end that was set last`() {
        var book = BlockBook()
        for second in [10, 20, 10, 10, 30, 20] { book.set(record("1.2.3.4", until: at(second))) }
        #expect(book.expire(at: at(19)) == [])
        #expect(book.expire(at: at(20)) == [record("1.2.3.4", until: at(20))])
        book.set(record("1.2.3.4", until: at(30)))
        #expect(book.expire(at: at(30)) == [record("1.2.3.4", until: at(30))])
        #expect(book.expire(at: at(99)) == [] && book.count == 0)
    }
}
