import Settings
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore

@Suite final class `The upstreams' addresses` {
    private let loop = EventLoop()
    private let resolver = Resolver()
    private let logs: LogWriter
    private var published: [String] = []

    init() throws {
        logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
    }

    deinit {
        resolver.stop()
        logs.stop()
    }

    private func makeDirectory() -> UpstreamDirectory {
        UpstreamDirectory(resolver, on: loop, log: OperationalLog(logs, level: .info)) {
            [unowned self] name, addresses in
            published.append("\(name) \(addresses)")
        }
    }

    private func upstreams(_ server: String) throws -> [Configuration.Upstream] {
        let text = """
            upstreams: {api: {servers: ["\(server)"]}}
            routes: [{path: /, upstream: api, auth: none}]
            """
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        return try #require(Configuration.load(source).configuration).upstreams
    }

    @Test func `are published of the newest configuration only`() throws {
        var completed: [String] = []
        let directory = makeDirectory()
        // Both before the loop turns: the answers to the first come when the second is in force already.
        directory.adopt(try upstreams("10.0.0.1:80")) { completed.append("first") }
        directory.adopt(try upstreams("10.0.0.2:80")) { completed.append("second") }
        let end = Instant.now() + .seconds(30)
        while completed.count < 2, Instant.now() < end { loop.turn() }
        #expect(completed == ["first", "second"])
        #expect(published == ["api [10.0.0.2:80]"])
    }

    @Test func `that are known are published without a wait`() throws {
        var completed = 0
        let directory = makeDirectory()
        directory.adopt(try upstreams("10.0.0.1:80")) { completed += 1 }
        #expect(completed == 0)
        let end = Instant.now() + .seconds(30)
        while completed < 1, Instant.now() < end { loop.turn() }
        // The loop does not turn any more: nobody answers.
        directory.adopt(try upstreams("10.0.0.1:81")) { completed += 1 }
        #expect(completed == 2)
        #expect(published == ["api [10.0.0.1:80]", "api [10.0.0.1:81]"])
    }
}
