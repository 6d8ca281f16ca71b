import Glibc
import Ledger
import Policy
import Testing

@testable import GatewayCore
@testable import Transport
@testable import Wire

@Suite struct `An upgrade` {
    /// The steps that follow on the events, one after another.
    private func steps(_ events: UpgradeMachine.Event...) -> [UpgradeMachine.Step] {
        var machine = UpgradeMachine()
        return events.flatMap { machine.happened($0) }
    }

    @Test func `gives the state away last, and drains when the new program serves`() {
        #expect(
            steps(
                .said(.wantsState), .stateReleased, .said(.prepared(kept: [0, 2])), .said(.serving(version: "2")))
                == [.releaseState, .send(.state), .send(.serve), .handOver(kept: [0, 2], version: "2")])
    }

    @Test func `that fails before it wanted the state changes nothing`() {
        #expect(steps(.programEnded("it ended with exit code 71")) == [.fail("it ended with exit code 71")])
    }

    @Test func `fails for the reason that the program itself gave`() {
        #expect(
            steps(.said(.refused("line 1")), .said(.refused("line 2")), .lineEnded, .programEnded("exit code 78"))
                == [.kill, .fail("line 1\nline 2")])
    }

    @Test func `fails by how the program ended when it only closed its line`() {
        let how = "it was ended by signal 11"
        #expect(steps(.lineEnded, .programEnded(how)) == [.kill, .fail(how)])
    }

    @Test func `takes the state back when the program ends before it serves`() {
        #expect(
            steps(.said(.wantsState), .stateReleased, .programEnded("it crashed"))
                == [.releaseState, .send(.state), .takeStateBack, .fail("it crashed")])
        #expect(
            steps(.said(.wantsState), .stateReleased, .said(.prepared(kept: [])), .programEnded("it crashed"))
                == [.releaseState, .send(.state), .send(.serve), .takeStateBack, .fail("it crashed")])
    }

    @Test func `waits for the ledger to let go before it takes the state back`() {
        var machine = UpgradeMachine()
        #expect(machine.happened(.said(.wantsState)) == [.releaseState])
        #expect(machine.happened(.programEnded("it crashed")) == [])
        #expect(machine.happened(.stateReleased) == [.takeStateBack, .fail("it crashed")])
        #expect(!machine.isUnderWay)
    }

    @Test func `that takes too long is ended, and has failed when it is`() {
        var machine = UpgradeMachine()
        #expect(machine.happened(.timePassed("it took too long")) == [.kill])
        #expect(machine.isUnderWay)
        #expect(machine.happened(.said(.wantsState)) == [], "too late")
        #expect(machine.happened(.programEnded("it was ended by signal 9")) == [.fail("it took too long")])
    }

    @Test func `is given up when this process is asked to end, unless the new one serves in a moment`() {
        #expect(
            steps(.cancelled, .programEnded("it was ended by signal 9"))
                == [.kill, .fail("this process was asked to end")])
        var machine = UpgradeMachine()
        for event: UpgradeMachine.Event in [.said(.wantsState), .stateReleased, .said(.prepared(kept: [1]))] {
            _ = machine.happened(event)
        }
        #expect(machine.happened(.cancelled) == [.terminate])
        #expect(machine.happened(.said(.serving(version: "2"))) == [.handOver(kept: [1], version: "2")])
    }

    @Test(arguments: [
        HandoverMessage.prepared(kept: []), .serving(version: "2"), .state, .serve, .reload,
    ])
    func `ends a program that speaks out of turn`(_ message: HandoverMessage) {
        #expect(steps(.said(message)) == [.kill])
        #expect(steps(.said(.wantsState), .said(.wantsState)) == [.releaseState, .kill])
    }

    @Test func `knows of the end of the process that took over`() {
        #expect(
            steps(
                .said(.wantsState), .stateReleased, .said(.prepared(kept: [])), .said(.serving(version: "2")),
                .lineEnded, .programEnded("it crashed")
            ).last == .successorLost("it crashed"))
    }
}

@Suite struct `Messages between two gateways` {
    private static let id = FailureID(high: 1, low: .max)

    @Test(arguments: [
        (HandoverMessage.refused("cannot listen: taken"), "refused cannot listen: taken"),
        (.wantsState, "wants-state"),
        (.prepared(kept: []), "prepared"),
        (.prepared(kept: [0, 3]), "prepared 0 3"),
        (.serving(version: "0.2.0"), "serving 0.2.0"),
        (.block(IPNetwork("203.0.113.0/24")!, milliseconds: 1_500), "block 203.0.113.0/24 1500"),
        (.block(IPNetwork("2001:db8::1")!, milliseconds: nil), "block 2001:db8::1 ever"),
        (.lift(IPNetwork("203.0.113.7")!), "lift 203.0.113.7"),
        (
            .counted(id, FailureCount(failures: 5, isNewlyBlocked: true)),
            "counted 0000000000000001ffffffffffffffff 5 block"
        ),
        (
            .counted(id, FailureCount(failures: 4, isNewlyBlocked: false)),
            "counted 0000000000000001ffffffffffffffff 4 none"
        ),
        (.state, "state"),
        (.serve, "serve"),
        (
            .failed(
                LoginFailure(
                    id: id, address: IPAddress("203.0.113.7")!,
                    key: LoginKey("accounts@0123456789abcdef0000000000000001@203.0.113.7")!)),
            "failed 0000000000000001ffffffffffffffff 203.0.113.7 accounts@0123456789abcdef0000000000000001@203.0.113.7"
        ),
        (
            .failed(LoginFailure(id: id, address: IPAddress("203.0.113.7")!)),
            "failed 0000000000000001ffffffffffffffff 203.0.113.7"
        ),
        (
            .reserve(LoginFailure(id: id, address: IPAddress("203.0.113.7")!), milliseconds: 65_000),
            "reserve 0000000000000001ffffffffffffffff 203.0.113.7 65000"
        ),
        (.reserved(id, Reservation(.full, by: .authority)), "reserved 0000000000000001ffffffffffffffff full authority"),
        (
            .release(LoginFailure(id: id, address: IPAddress("203.0.113.7")!)),
            "release 0000000000000001ffffffffffffffff 203.0.113.7"
        ),
        (.reload, "reload"),
        (
            .lockdown(route: "/a,b", allowed: [IPNetwork("10.0.0.0/8")!, IPNetwork("2001:db8::1")!], milliseconds: 9),
            "lockdown /a,b 9 10.0.0.0/8 2001:db8::1"
        ),
        (.lockdown(route: "/", allowed: [], milliseconds: nil), "lockdown / ever"),
        (.allow(IPNetwork("2001:db8::/48")!, milliseconds: 9), "allow 2001:db8::/48 9"),
        (.allow(IPNetwork("203.0.113.7")!, milliseconds: nil), "allow 203.0.113.7 ever"),
        (.disallow(IPNetwork("203.0.113.7")!), "disallow 203.0.113.7"),
        (.reopen(route: "/admin"), "reopen /admin"),
        (.keyGone(fingerprint: "2eeea026cdd6"), "note key-gone 2eeea026cdd6"),
    ])
    func `are lines, read as they were written`(_ message: HandoverMessage, _ text: String) {
        #expect(message.text == text)
        #expect(HandoverMessage(text) == message)
    }

    @Test(arguments: [
        "", "state now", "prepared x", "prepared 1 ", "block 203.0.113.7", "block 203.0.113.7 -1", "block here ever",
        "counted 1 2 none", "counted 0000000000000001ffffffffffffffff 5 maybe", "failed 0 203.0.113.7", "sing",
        "revoke sub 6 all now", "revoke sub  all now", "revoke who 61 all now", "revoke sub 61 some now",
        "revoke sub 61 all then", "unrevoke sub 6g", "unrevoke sub",
        "note key-gone", "note key-gone 2eeea026cdd", "note key-gone +eeea026cdd6", "note key-gone 2eeea026cdd6 x",
        "note",
        "lockdown", "lockdown /", "lockdown / -1", "lockdown  1", "lockdown / 1 ", "lockdown / 1 10.1.2.3/8", "reopen",
        "reopen ", "reserve 0000000000000001ffffffffffffffff 203.0.113.7 -1", "reserve 1 203.0.113.7 1",
        "reserved 0000000000000001ffffffffffffffff maybe local", "reserved 0000000000000001ffffffffffffffff full none",
        "release 0000000000000001ffffffffffffffff",
    ])
    func `are nothing else`(_ text: String) {
        #expect(HandoverMessage(text) == nil)
    }

    @Test func `may be left alone where they are notices of a newer program`() {
        #expect(HandoverMessage.isNotice("note something-new 1 2"))
        #expect(HandoverMessage("note something-new 1 2") == nil)
        #expect(!HandoverMessage.isNotice("notes") && !HandoverMessage.isNotice("sing"))
    }

    @Test func `tell of blocks by what is left of them`() {
        let now = Instant(nanoseconds: 5_000_000_000)
        let network = IPNetwork("203.0.113.7")!
        let set = LedgerChange.blocks(
            .set([
                BlockEntry(network: network, deadline: now + .seconds(300)),
                BlockEntry(network: network, deadline: .never),
            ]))
        #expect(
            set.messages(at: now) == [
                .block(network, milliseconds: 300_000), .block(network, milliseconds: nil),
            ])
        #expect(LedgerChange.blocks(.lift([network])).messages(at: now) == [.lift(network)])
        #expect(LedgerChange.blocks(.replaceAll([])).messages(at: now) == [])
    }

    @Test func `tell of lockdowns by what is left of them`() {
        let now = Instant(nanoseconds: 5_000_000_000)
        let network = IPNetwork("10.0.0.0/8")!
        let longest = String(repeating: "r", count: Lockdown.longestName)
        let set = LedgerChange.lockdown(
            .set(Lockdown(route: longest, allowed: Array(repeating: network, count: 32), until: now + .seconds(60))))
        let messages = set.messages(at: now)
        #expect(
            messages == [
                .lockdown(route: longest, allowed: Array(repeating: network, count: 32), milliseconds: 60_000)
            ])
        #expect(messages.allSatisfy { $0.text.utf8.count < LineBuffer.longest })
        #expect(
            LedgerChange.lockdown(.set(Lockdown(route: "/", allowed: [], until: .never))).messages(at: now)
                == [.lockdown(route: "/", allowed: [], milliseconds: nil)])
        #expect(LedgerChange.lockdown(.lift(route: "/")).messages(at: now) == [.reopen(route: "/")])
    }

    @Test func `tell of revocations whatever their names hold`() throws {
        let target = try #require(RevocationTarget(.subject, "a b\né"))
        let entries = [
            RevocationEntry(target: target, cutoff: .everyToken),
            RevocationEntry(
                target: target, cutoff: .issuedBefore(WallTime(milliseconds: 1_700_000_000_123)),
                from: WallTime(milliseconds: 1_800_000_000_000)),
        ]
        let set = LedgerChange.revocations(.set(entries)).messages(at: .now())
        #expect(
            set.map(\.text) == [
                "revoke sub 6120620ac3a9 all now", "revoke sub 6120620ac3a9 1700000000123 1800000000000",
            ])
        let lift = LedgerChange.revocations(.lift([target])).messages(at: .now())
        #expect(lift.map(\.text) == ["unrevoke sub 6120620ac3a9"])
        for message in set + lift { #expect(HandoverMessage(message.text) == message) }
        #expect(LedgerChange.revocations(.replaceAll(entries)).messages(at: .now()) == [])
    }

    @Test func `come out whole, however they were cut`() {
        var lines = LineBuffer()
        lines.append(Array("sta".utf8).span)
        #expect(lines.next() == nil)
        lines.append(Array("te\nserve\nrel".utf8).span)
        #expect(lines.next() == "state")
        #expect(lines.next() == "serve")
        #expect(lines.next() == nil)
        #expect(lines.takeRest() == Array("rel".utf8))
        lines.append(Array(repeating: 65, count: LineBuffer.longest + 1).span)
        #expect(lines.isOverlong)
    }
}

@Suite struct `Taking over` {
    private final class Bench {
        let loop = EventLoop()
        let other: StreamSocket
        let predecessor: Predecessor
        var proceeded = 0
        var reloads = 0
        var ends = 0
        var failures: [LoginFailure] = []

        init() {
            guard case .success(let (ours, theirs)) = StreamSocket.pair() else { fatalError("no pair of sockets") }
            other = theirs
            predecessor = Predecessor(ours)
        }

        func hear(_ text: String) { _ = other.send(Array(text.utf8).span) }

        /// Turns without waiting for events, until all that was sent so far has been heard and answered.
        func turn() {
            for _ in 0..<3 {
                loop.atEndOfTurn {}
                loop.turn()
            }
        }

        func attach() {
            predecessor.attach(
                on: loop, proceed: { [unowned self] in proceeded += 1 }, reload: { [unowned self] in reloads += 1 },
                count: { [unowned self] failure, done in
                    failures.append(failure)
                    done(FailureCount(failures: 5, isNewlyBlocked: true))
                }, reserve: { _, _, done in done(Reservation(.granted, by: .authority)) }, release: { _ in },
                ended: { [unowned self] in ends += 1 })
            turn()
        }

        func said() -> String {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            guard case .bytes(let count) = bytes.withUnsafeMutableBytes({ other.receive(into: $0) }) else { return "" }
            return String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    @Test func `keeps the failed logins that were told of while the state was awaited`() {
        let bench = Bench()
        bench.hear("failed 0000000000000001ffffffffffffffff 203.0.113.7\nstate\nfailed 0000000000000001fffffff")
        bench.predecessor.obtainState()
        #expect(bench.said() == "wants-state\n")
        bench.attach()
        #expect(bench.failures.map(\.address.description) == ["203.0.113.7"])
        #expect(bench.said() == "counted 0000000000000001ffffffffffffffff 5 block\n")
        bench.hear("ffffffffe 203.0.113.8\n")
        bench.turn()
        #expect(bench.failures.map(\.address.description) == ["203.0.113.7", "203.0.113.8"])
    }

    @Test func `tells when the other is no more, and until then that it finishes`() {
        let bench = Bench()
        bench.hear("state\n")
        bench.predecessor.obtainState()
        bench.attach()
        _ = bench.predecessor.letsServe(on: [])
        bench.hear("serve\n")
        bench.turn()
        #expect(!bench.predecessor.isFinishing)
        bench.predecessor.serves(version: "1")
        #expect(bench.predecessor.isFinishing)
        bench.other.close()
        bench.turn()
        #expect(!bench.predecessor.isFinishing)
        #expect(bench.ends == 1)
    }

    @Test func `serves only when the other lets it`() {
        let bench = Bench()
        bench.hear("state\n")
        bench.predecessor.obtainState()
        _ = bench.said()
        #expect(!bench.predecessor.letsServe(on: [2, 0]))
        bench.attach()
        #expect(!bench.predecessor.letsServe(on: [2, 0]))
        #expect(!bench.predecessor.letsServe(on: [2, 0]))
        bench.turn()
        #expect(bench.said() == "prepared 0 2\n", "said once")
        bench.hear("serve\n")
        bench.turn()
        #expect(bench.proceeded == 1)
        #expect(bench.predecessor.letsServe(on: [2, 0]))
        bench.predecessor.serves(version: "2")
        bench.turn()
        #expect(bench.said() == "serving 2\n")
        bench.hear("reload\n")
        bench.turn()
        #expect(bench.reloads == 1)
    }

    @Test func `serves alone when the other is no more`() {
        let first = Bench()
        first.other.close()
        first.predecessor.obtainState()
        #expect(first.predecessor.letsServe(on: []))

        let second = Bench()
        second.hear("state\n")
        second.predecessor.obtainState()
        second.attach()
        #expect(!second.predecessor.letsServe(on: []))
        second.turn()
        second.other.close()
        second.turn()
        #expect(second.proceeded == 1)
        #expect(second.predecessor.letsServe(on: []))
    }

    @Test func `leaves notices alone that it does not know, and nothing else`() {
        let bench = Bench()
        bench.hear("state\n")
        bench.predecessor.obtainState()
        bench.attach()
        bench.hear("note something-new\nreload\n")
        bench.turn()
        #expect(bench.reloads == 1 && bench.ends == 0)
        bench.hear("sing\nreload\n")
        bench.turn()
        #expect(bench.reloads == 1 && bench.ends == 1)
    }

    @Test func `tells the other of keys that are gone`() {
        let bench = Bench()
        bench.hear("state\n")
        bench.predecessor.obtainState()
        bench.attach()
        _ = bench.said()
        bench.predecessor.tell(keysGone: ["2eeea026cdd6", "000000000001"])
        bench.turn()
        #expect(bench.said() == "note key-gone 2eeea026cdd6\nnote key-gone 000000000001\n")
    }

    @Test func `tells the other of blocks, whose connections must meet them`() {
        let bench = Bench()
        bench.hear("state\n")
        bench.predecessor.obtainState()
        bench.attach()
        _ = bench.said()
        bench.predecessor.tell(.blocks(.lift([IPNetwork("203.0.113.7")!])), at: .now())
        bench.turn()
        #expect(bench.said() == "lift 203.0.113.7\n")
    }

    @Test func `says why it cannot`() {
        let bench = Bench()
        bench.predecessor.refuse("two\nlines")
        #expect(bench.said() == "refused two\nrefused lines\n")
    }
}

@Suite struct `A program that is started` {
    /// Waits for its end, which is a matter of milliseconds.
    private func end(of process: Int32) -> ChildProgram.End? {
        for _ in 0..<10_000 {
            if let end = ChildProgram.end(of: process) { return end }
            usleep(1_000)
        }
        return nil
    }

    private func text(_ socket: StreamSocket) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        guard case .bytes(let count) = bytes.withUnsafeMutableBytes({ socket.receive(into: $0) }) else { return "" }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    @Test func `has the descriptors from 3 on, in their order, and no other one of ours`() throws {
        let (first, third) = try StreamSocket.pair().get()
        let (second, fourth) = try StreamSocket.pair().get()
        let script = "echo three $ONE >&3; echo four >&4; test ! -e /proc/$$/fd/\(first.descriptor) && exit 7"
        let process = try ChildProgram.start(
            ["sh", "-c", script], environment: ["ONE": "1", "PATH": "/usr/bin:/bin"],
            descriptors: [third.descriptor, fourth.descriptor]
        ).get()
        #expect(end(of: process) == .exited(7))
        #expect(text(first) == "three 1\n")
        #expect(text(second) == "four\n")
    }

    @Test func `that is not there is told at once`() {
        let result = ChildProgram.start(["/there/is/no/program"], environment: [:], descriptors: [])
        guard case .failure(let error) = result else {
            Issue.record("it was started")
            return
        }
        #expect(error.description == "/there/is/no/program: No such file or directory")
    }

    @Test func `is known to have been ended by a signal`() throws {
        let process = try ChildProgram.start(
            ["sh", "-c", "kill -9 $$"], environment: ["PATH": "/usr/bin:/bin"], descriptors: []
        ).get()
        let found = end(of: process)
        #expect(found == .killed(signal: 9))
        #expect(found?.description == "it was ended by signal 9")
    }
}
