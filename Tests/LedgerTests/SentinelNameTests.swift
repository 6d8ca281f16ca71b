import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

/// A name server that is silent, or slower than the sentinels are waited for.
@Suite struct `The names of sentinels` {
    private final class Names {
        var asked: [String] = []
        var completions: [(Result<[IPAddress], ResolveError>) -> Void] = []
    }

    private let harness = Harness()
    private let names = Names()

    private func sentinels(_ hosts: [String], port: UInt16) -> RedisSentinels {
        RedisSentinels(
            Configuration.RedisSentinels(
                addresses: hosts.map { Configuration.SocketAddressText(host: $0, port: port) }, master: "mymaster"),
            on: harness.loop,
            resolve: { [names] in
                names.asked.append($0)
                names.completions.append($1)
            },
            secure: { () throws(LedgerError) -> TLSClientContext? in nil }, onSwitch: { _ in })
    }

    /// One round: each of them is given its time.
    private func find(_ sentinels: RedisSentinels) throws -> String {
        var outcome: Result<Configuration.SocketAddressText, LedgerError>?
        sentinels.find { outcome = $0 }
        #expect(harness.wait { outcome != nil })
        guard case .failure(let error) = try #require(outcome) else { return "found" }
        return error.description
    }

    @Test func `are asked for once, however long the answer takes`() throws {
        let sentinels = sentinels(["a.test", "b.test"], port: 1)
        #expect(try find(sentinels).contains("gives no answer"))
        #expect(names.asked == ["a.test", "b.test"])
        for _ in 0..<5 { #expect(try find(sentinels).contains("still being resolved")) }
        #expect(names.asked == ["a.test", "b.test"])
        sentinels.stop()
    }

    @Test func `that come too late serve the next attempt, and only that`() throws {
        let sentinels = sentinels(["a.test"], port: FreePort.pick())
        #expect(try find(sentinels).contains("gives no answer"))
        names.completions.removeLast()(.success([IPAddress("127.0.0.1")!]))
        // The sentinel was connected to: nobody is there.
        #expect(try find(sentinels).contains("sentinel a.test:"))
        #expect(names.asked == ["a.test"])
        #expect(try find(sentinels).contains("gives no answer"))
        #expect(names.asked == ["a.test", "a.test"])
        names.completions.removeLast()(.failure(ResolveError(description: "no such name")))
        #expect(try find(sentinels).contains("gives no answer"))
        #expect(names.asked.count == 3)
        sentinels.stop()
    }
}
