import Policy
import TestSupport
import Testing
import Wire

@testable import Ledger

/// What the rules promise, in the plainest way: lists that are looked through from the beginning. Times in whole seconds.
private struct Model {
    struct Key: Hashable {
        let rule: String
        let address: Int
    }

    struct Failures {
        var times: [Int]
        /// When all of them are forgotten.
        var end: Int
    }

    let rules: [String: LoginRule]
    var failures: [Key: Failures] = [:]
    var places: [Key: [FailureID: Int]] = [:]
    var blocks: [Int: Int] = [:]
    /// Of an address: how many blocks it had lately, and when that is forgotten.
    var history: [Int: (blocks: Int, end: Int)] = [:]

    private func seconds(_ interval: Interval) -> Int { Int(interval.seconds) }

    func isBlocked(_ address: Int, at now: Int) -> Bool { blocks[address].map { $0 > now } ?? false }

    func number(of key: Key, at now: Int) -> Int {
        let rule = rules[key.rule]!
        guard let known = failures[key], known.end > now else { return 0 }
        return rule.counted == .fixed ? known.times.count : known.times.count { $0 > now - seconds(rule.window) }
    }

    mutating func reserve(_ id: FailureID, _ key: Key, for length: Int, at now: Int) -> Reservation.Answer {
        let rule = rules[key.rule]!
        if rule.action == .observe { return .granted }
        var held = (places[key] ?? [:]).filter { $0.value > now }
        defer { places[key] = held }
        if held[id] != nil { return .granted }
        let count = number(of: key, at: now)
        if count >= rule.limit {
            if isBlocked(key.address, at: now) { return .blocked }
            if !held.isEmpty { return .full }
        } else if count + held.count >= rule.limit {
            return .full
        }
        held[id] = now + length
        return .granted
    }

    /// - Returns: the count, how long the block lasts that came of it, and how long one that is only observed.
    mutating func fail(_ id: FailureID, _ key: Key, at now: Int) -> (count: Int, block: Int?, observed: Int?) {
        let rule = rules[key.rule]!
        places[key]?[id] = nil
        var known = failures[key] ?? Failures(times: [], end: 0)
        if number(of: key, at: now) == 0 { known = Failures(times: [], end: now + seconds(rule.window)) }
        if rule.counted == .sliding { known.times.removeAll { $0 <= now - seconds(rule.window) } }
        known.times.append(now)
        let count = known.times.count
        if rule.counted == .sliding, count <= rule.limit { known.end = now + seconds(rule.window) }
        defer { failures[key] = known }
        guard count >= rule.limit else { return (count, nil, nil) }
        if rule.action == .observe {
            guard count == rule.limit else { return (count, nil, nil) }
            known.end = now + seconds(rule.block)
            return (count, nil, seconds(rule.block))
        }
        guard !isBlocked(key.address, at: now) else { return (count, nil, nil) }
        var length = seconds(rule.block)
        let before = history[key.address].flatMap { $0.end > now ? $0.blocks : nil } ?? 0
        if let escalation = rule.escalation {
            for _ in 0..<min(before, 20) { length = min(length * escalation.factor, seconds(escalation.longest)) }
        }
        blocks[key.address] = now + length
        history[key.address] = (before + 1, now + length + 86_400)
        known.end = now + length
        return (count, length, nil)
    }

    mutating func unblock(_ address: Int) {
        blocks[address] = nil
        history[address] = nil
        for key in failures.keys where key.address == address { failures[key] = nil }
    }
}

@Suite struct `The rules for failed logins` {
    private let rules: [LoginRule] = {
        let plain = LoginRule(limit: 3, window: .seconds(600), block: .seconds(60), exempt: [])
        var growing = LoginRule(
            "growing", limit: 4, window: .seconds(300), block: .seconds(30), exempt: [])
        growing.counted = .sliding
        growing.escalation = LoginRule.Escalation(factor: 3, longest: .seconds(1_000))
        var dry = LoginRule("dry", limit: 2, window: .seconds(400), block: .seconds(50), exempt: [])
        dry.action = .observe
        return [plain, growing, dry]
    }()

    private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .seconds(seconds) }
    private func network(_ address: Int) -> IPNetwork { IPNetwork(IPAddress(v4: 0xc633_6400 + UInt32(address))) }

    @Test(arguments: [UInt64(1), 2, 3, 4]) func `do in any order of events what a plain model does`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var ledger = LocalLedger(rules: LoginRules(rules))
        var model = Model(rules: Dictionary(uniqueKeysWithValues: rules.map { ($0.name, $0) }))
        var under: [(LoginFailure, Model.Key)] = []
        var now = 0
        var seen = (blocks: 0, grown: 0, observed: 0, full: 0)
        for step in 0..<20_000 {
            // Most events come close together; now and then a window, a block or a day goes by.
            switch random.next() % 40 {
            case 0: now += 30 + Int(random.next() % 700)
            case 1 where random.next() % 20 == 0: now += 90_000
            default: now += Int(random.next() % 8)
            }
            let number = Int(random.next() % 3)
            let key = Model.Key(rule: rules[Int(random.next() % 3)].name, address: number)
            let address = network(number).base
            let failure = LoginFailure(
                id: FailureID(high: seed, low: UInt64(step)), address: address,
                key: LoginKey(rule: key.rule, network(number)))
            switch random.next() % 20 {
            case 0..<8:
                let length = 1 + Int(random.next() % 60)
                let answer = ledger.reserve(failure, until: at(now + length), at: at(now))
                #expect(answer == model.reserve(failure.id, key, for: length, at: now), "step \(step)")
                if answer == .granted { under.append((failure, key)) }
                if answer == .full { seen.full += 1 }
            case 8..<16:
                // One that has a place, if there is one; else one that never asked.
                let (one, its) =
                    under.isEmpty ? (failure, key) : under.remove(at: Int(random.next() % UInt64(under.count)))
                let decision = ledger.record(one, at: at(now), wall: WallTime(seconds: 0))
                let expected = model.fail(one.id, its, at: now)
                #expect(decision.counter.count == expected.count, "step \(step)")
                #expect(decision.isNewlyBlocked == (expected.block != nil), "step \(step)")
                if let length = expected.block {
                    #expect(decision.block?.deadline == at(now + length), "step \(step)")
                    seen.blocks += 1
                    if length > 60 { seen.grown += 1 }
                }
                #expect(decision.wouldBlock == expected.observed.map { Interval.seconds($0) }, "step \(step)")
                if expected.observed != nil { seen.observed += 1 }
                // Told again, it counts nothing.
                if random.next() % 4 == 0 {
                    let again = ledger.record(one, at: at(now), wall: WallTime(seconds: 0))
                    #expect(again.counter.count == expected.count && !again.isNewlyBlocked && again.wouldBlock == nil)
                }
            case 16, 17:
                guard !under.isEmpty else { continue }
                let (one, its) = under.remove(at: Int(random.next() % UInt64(under.count)))
                ledger.release(one)
                model.places[its]?[one.id] = nil
            case 18:
                _ = ledger.book.expire(at: at(now))
            default:
                guard random.next() % 8 == 0 else { continue }
                let former = ledger.unblock(BlockSubject(network(number)), at: at(now))
                #expect((former != nil) == model.isBlocked(number, at: now))
                model.unblock(number)
            }
            for number in 0..<3 {
                let block = ledger.block(of: BlockSubject(network(number)), at: at(now))
                #expect((block != nil) == model.isBlocked(number, at: now), "step \(step)")
            }
        }
        // The walk has been everywhere.
        #expect(seen.blocks > 50 && seen.grown > 5 && seen.observed > 20 && seen.full > 50, "\(seen)")
    }

    @Test func `make blocks longer while they come within a day, up to the longest, and an unblock ends that`() {
        var ledger = LocalLedger(rules: LoginRules(rules))
        var now = 0
        func failures(_ rule: String) -> Interval? {
            var length: Interval?
            for _ in 0..<4 {
                let one = LoginFailure(
                    id: .random(), address: network(1).base, key: LoginKey(rule: rule, network(1)))
                let decision = ledger.record(one, at: at(now), wall: WallTime(seconds: 0))
                if decision.isNewlyBlocked { length = decision.block!.deadline - at(now) }
            }
            return length
        }
        var lengths: [Int] = []
        for _ in 0..<6 {
            let length = failures("growing")
            lengths.append(Int(length?.seconds ?? 0))
            now += lengths.last! + 3_600
        }
        #expect(lengths == [30, 90, 270, 810, 1_000, 1_000])
        now += 86_400
        #expect(failures("growing") == .seconds(30), "a day later it is forgotten")
        now += 60
        #expect(failures("growing") == .seconds(90))
        _ = ledger.unblock(BlockSubject(network(1)), at: at(now))
        #expect(failures("growing") == .seconds(30))
    }
}
