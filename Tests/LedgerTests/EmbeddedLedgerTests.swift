import Glibc
import Policy
import Testing
import Transport
import Wire

@testable import Ledger

@Suite struct `The embedded ledger` {
    let directory = TemporaryDirectory()
    let harness = Harness()

    private func open(_ rule: LoginRule = fiveFailures, clock: LedgerClock = .system) throws -> EmbeddedLedger {
        let ledger = try EmbeddedLedger(
            rule: rule, stateDirectory: directory.path, on: harness.loop, sink: harness, clock: clock)
        ledger.start()
        return ledger
    }

    @Test func `blocks at the fifth failure and tells the workers before the caller`() throws {
        let ledger = try open()
        for count in 1...4 {
            let outcome = try harness.fail(ledger, "198.51.100.7")
            #expect(outcome == FailureOutcome(count: count, block: nil, isNewlyBlocked: false, decider: .authority))
        }
        var wasKnown = false
        let fifth = LoginFailure(id: .random(), address: IPAddress("198.51.100.7")!)
        ledger.recordFailure(fifth, now: .now()) { [harness] outcome in
            wasKnown = harness.isBlocked("198.51.100.7")
            #expect(outcome.isNewlyBlocked)
            #expect(outcome.block?.origin == .automatic(failures: 5))
        }
        #expect(wasKnown)
        #expect(
            harness.events.contains {
                if case .blocked(_, by: fifth, decider: .authority) = $0 { true } else { false }
            })
        let sixth = try harness.fail(ledger, "198.51.100.7")
        #expect(sixth.count == 6 && !sixth.isNewlyBlocked && sixth.block != nil)
        harness.stop(ledger)
    }

    @Test func `counts 500 failures that come at once exactly, and blocks once`() throws {
        let ledger = try open()
        var outcomes: [FailureOutcome] = []
        for _ in 0..<500 {
            let failure = LoginFailure(id: .random(), address: IPAddress("198.51.100.7")!)
            ledger.recordFailure(failure, now: .now()) { outcomes.append($0) }
        }
        #expect(outcomes.map(\.count) == Array(1...500))
        #expect(outcomes.count(where: \.isNewlyBlocked) == 1)
        harness.stop(ledger)
    }

    @Test func `keeps blocks and counters over a restart`() throws {
        let first = try open()
        for _ in 1...5 { _ = try harness.fail(first, "198.51.100.7") }
        for _ in 1...3 { _ = try harness.fail(first, "198.51.100.8") }
        _ = try harness.block(first, "203.0.113.0/24", for: nil)
        harness.stop(first)

        let second = try open()
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(harness.isBlocked("203.0.113.99"))
        #expect(!harness.isBlocked("198.51.100.8"))
        let records = Dictionary(uniqueKeysWithValues: second.blocks().map { ($0.network.description, $0) })
        #expect(records["203.0.113.0/24"]?.isPermanent == true)
        #expect(records["203.0.113.0/24"]?.actor == "alice")
        #expect(records["198.51.100.7"]?.origin == .automatic(failures: 5))
        let left = try #require(records["198.51.100.7"]?.remaining(at: .now()))
        #expect(left > .seconds(290) && left <= .seconds(300))
        _ = try harness.fail(second, "198.51.100.8")
        #expect(try harness.fail(second, "198.51.100.8").isNewlyBlocked)
        harness.stop(second)
    }

    @Test func `has a block on the disk although nobody stopped it`() throws {
        let first = try open()
        for _ in 1...5 { _ = try harness.fail(first, "198.51.100.7") }
        let journal = directory.path + "/" + EmbeddedLedger.journalName
        // What another process would find now is what a crash would leave.
        let found = harness.wait {
            var state = JournalState()
            _ = JournalCoding.replay(contents(of: journal), into: &state)
            return state.blocks[BlockSubject("198.51.100.7")!] != nil
        }
        #expect(found)
        harness.stop(first)
    }

    @Test func `lifts a block when its time is over, and the counter with it`() throws {
        let ledger = try open(LoginRule(limit: 2, window: .seconds(86_400), block: .milliseconds(80), exempt: []))
        _ = try harness.fail(ledger, "198.51.100.7")
        #expect(try harness.fail(ledger, "198.51.100.7").isNewlyBlocked)
        let lifted = harness.wait {
            harness.events.contains { if case .lifted(_, .expired) = $0 { true } else { false } }
        }
        #expect(lifted)
        #expect(!harness.isBlocked("198.51.100.7"))
        #expect(ledger.blocks() == [])
        #expect(try harness.fail(ledger, "198.51.100.7").count == 1)
        harness.stop(ledger)
    }

    @Test func `unblocks block and counter in one step`() throws {
        let ledger = try open()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        let outcome = try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!))
        #expect(outcome.lifted.map(\.network.description) == ["198.51.100.7"])
        #expect(!harness.isBlocked("198.51.100.7"))
        #expect(try harness.fail(ledger, "198.51.100.7").count == 1)
        for _ in 1...4 { _ = try harness.fail(ledger, "198.51.100.7") }
        #expect(harness.isBlocked("198.51.100.7"))
        _ = try harness.unblock(ledger, .all)
        #expect(ledger.blocks() == [])
        harness.stop(ledger)
        let second = try open()
        #expect(second.blocks() == [])
        #expect(try harness.fail(second, "198.51.100.7").count == 1)
        harness.stop(second)
    }

    @Test func `judges by a new rule from the next failure on`() throws {
        let ledger = try open()
        for _ in 1...2 { _ = try harness.fail(ledger, "198.51.100.7") }
        ledger.adopt(LoginRules(LoginRule(limit: 3, window: .seconds(60), block: .seconds(30), exempt: [])))
        let third = try harness.fail(ledger, "198.51.100.7")
        #expect(third.isNewlyBlocked)
        #expect(try #require(third.block?.remaining(at: .now())) <= .seconds(30))
        harness.stop(ledger)
    }

    @Test func `refuses a directory that another process uses, or that others can write`() throws {
        let ledger = try open()
        #expect(throws: LedgerError.self) { try open() }
        harness.stop(ledger)
        chmod(directory.path, 0o777)
        #expect(throws: LedgerError.self) { try open() }
        chmod(directory.path, 0o700)
        harness.stop(try open())
    }

    @Test func `drops the torn end of its journal, says so, and goes on`() throws {
        let first = try open()
        for _ in 1...5 { _ = try harness.fail(first, "198.51.100.7") }
        for _ in 1...5 { _ = try harness.fail(first, "198.51.100.8") }
        harness.stop(first)
        let journal = directory.path + "/" + EmbeddedLedger.journalName
        let whole = contents(of: journal)
        write(whole + [77, 0, 0, 0, 1, 2, 3], to: journal)

        let second = try open()
        #expect(harness.events.contains(.journalTorn(bytes: 7)))
        #expect(harness.isBlocked("198.51.100.8"))
        for _ in 1...5 { _ = try harness.fail(second, "198.51.100.9") }
        harness.stop(second)

        let third = try open()
        #expect(Set(third.blocks().map(\.network.description)) == ["198.51.100.7", "198.51.100.8", "198.51.100.9"])
        harness.stop(third)
    }

    @Test func `never trusts a record whose checksum is wrong`() throws {
        var bytes = JournalCoding.magic
        JournalCoding.append(.lift(BlockSubject("192.0.2.1")!), to: &bytes)
        let good = bytes.count
        JournalCoding.append(.lift(BlockSubject("192.0.2.2")!), to: &bytes)
        for index in good..<bytes.count {
            var damaged = bytes
            damaged[index] ^= 1
            var state = JournalState()
            #expect(JournalCoding.replay(damaged, into: &state) == good)
        }
        for length in good..<bytes.count {
            var state = JournalState()
            #expect(JournalCoding.replay(Array(bytes[..<length]), into: &state) == good)
        }
    }

    @Test func `does not overwrite a file that is none of its own`() throws {
        write(Array("precious notes of somebody".utf8), to: directory.path + "/" + EmbeddedLedger.journalName)
        #expect(throws: LedgerError.self) { try open() }
    }
}

@Suite struct `The journal` {
    let directory = TemporaryDirectory()

    @Test func `gives back every record as it was`() throws {
        let block = StoredBlock(
            BlockSubject("2001:db8::/32")!, origin: .automatic(failures: 7), reason: "failed_logins",
            actor: "gateway", since: WallTime(milliseconds: 1), deadline: WallTime(milliseconds: 2), isPending: true)
        let id = FailureID(high: 3, low: 4)
        let unsettled = UnsettledFailure(
            failure: LoginFailure(id: id, address: IPAddress("192.0.2.5")!), at: WallTime(milliseconds: 6))
        var bytes = JournalCoding.magic
        let records: [JournalRecord] = [
            .block(block), .counter(LoginKey("login@192.0.2.1")!, count: 9, deadline: WallTime(milliseconds: 10)),
            .counter(LoginKey("login@2001:db8:1:2::/64")!, count: 3, deadline: WallTime(milliseconds: 11)),
            .unsettled(unsettled), .pendingLift(BlockSubject("192.0.2.0/24")!),
        ]
        for record in records { JournalCoding.append(record, to: &bytes) }
        var state = JournalState()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.blocks == [block.subject: block])
        #expect(state.counters[LoginKey("login@192.0.2.1")!]?.count == 9)
        #expect(state.counters[LoginKey("login@2001:db8:1:2::/64")!]?.count == 3)
        #expect(state.unsettled == [id: unsettled])
        #expect(state.pendingLifts == [BlockSubject("192.0.2.0/24")!])
        var end = state
        let opposite: [JournalRecord] = [
            .lift(block.subject), .clearCounter(LoginKey("login@192.0.2.1")!),
            .clearCounter(LoginKey("login@2001:db8:1:2::/64")!), .settled(id),
            .liftSettled(BlockSubject("192.0.2.0/24")!),
        ]
        for record in opposite { end.apply(record) }
        #expect(end == JournalState())
    }

    @Test func `gives back what is of accounts and of other rules`() throws {
        let mark = AccountMark("0123456789abcdef0000000000000001")!
        let lock = BlockSubject(IPNetwork("192.0.2.1")!, account: mark)
        let block = StoredBlock(
            lock, origin: .automatic(failures: 5), reason: "failed_logins:accounts", actor: "gateway",
            since: WallTime(milliseconds: 1), deadline: WallTime(milliseconds: 2), isPending: false)
        let pair = LoginKey(rule: "accounts", lock)
        let mfa = LoginKey(rule: "mfa", IPNetwork("2001:db8:1:2::/64")!)
        let id = FailureID(high: 3, low: 4)
        let unsettled = UnsettledFailure(
            failure: LoginFailure(id: id, address: IPAddress("192.0.2.1")!, key: pair), at: WallTime(milliseconds: 6))
        var bytes = JournalCoding.magic
        let records: [JournalRecord] = [
            .block(block), .counter(pair, count: 4, deadline: WallTime(milliseconds: 10)),
            .counter(mfa, count: 3, deadline: WallTime(milliseconds: 11)), .unsettled(unsettled), .pendingLift(lock),
        ]
        for record in records { JournalCoding.append(record, to: &bytes) }
        var state = JournalState()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.blocks == [lock: block] && state.pendingLifts == [lock])
        #expect(state.counters[pair]?.count == 4 && state.counters[mfa]?.count == 3)
        #expect(state.unsettled == [id: unsettled])
        let opposite: [JournalRecord] = [
            .lift(lock), .clearCounter(pair), .clearCounter(mfa), .settled(id), .liftSettled(lock),
        ]
        for record in opposite {
            var bytes = JournalCoding.magic
            JournalCoding.append(record, to: &bytes)
            #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        }
        #expect(state == JournalState())
    }

    @Test func `lies in a directory that is made with those it is in`() throws {
        let nested = "\(directory.path)/a/b"
        let held = try StateDirectory(nested)
        defer { held.release() }
        var status = stat()
        #expect(stat("\(directory.path)/a", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        #expect(throws: LedgerError.self) { try StateDirectory("\(nested)/ledger.lock/c") }
    }

    @Test func `replaces itself by a shorter one when it has grown`() throws {
        let held = try StateDirectory(directory.path)
        defer { held.release() }
        let now = WallTime.now()
        let writer = JournalWriter(try OpenedJournal(in: held, name: "test.journal", at: now))
        let later = now + .seconds(3_600)
        for round in 1...60 {
            let records = (0..<1_000).map {
                JournalRecord.counter(LoginKey(IPNetwork(IPAddress(v4: UInt32($0)))), count: round, deadline: later)
            }
            writer.append(records, durable: false)
            try writer.flush()
        }
        #expect(contents(of: directory.path + "/test.journal").count < 1 << 20)
        let again = try OpenedJournal(in: held, name: "test.journal", at: now)
        #expect(again.tornBytes == 0)
        #expect(again.state.counters.count == 1_000)
        #expect(again.state.counters.values.allSatisfy { $0.count == 60 })
        close(again.descriptor)
    }
}
