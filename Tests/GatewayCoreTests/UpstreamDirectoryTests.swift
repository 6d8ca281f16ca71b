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

    /// Turns the loop until the names are known.
    private func learn(_ upstreams: [Configuration.Upstream], by directory: UpstreamDirectory) {
        var isDone = false
        directory.learn(upstreams) { isDone = true }
        let end = Instant.now() + .seconds(30)
        while !isDone, Instant.now() < end { loop.turn() }
        #expect(isDone)
    }

    @Test func `are published when their configuration is adopted, and not before`() throws {
        let directory = makeDirectory()
        let (first, second) = (try upstreams("10.0.0.1:80"), try upstreams("10.0.0.2:80"))
        learn(first, by: directory)
        directory.adopt(first)
        learn(second, by: directory)
        #expect(published == ["api [10.0.0.1:80]"])
        directory.adopt(second)
        #expect(published == ["api [10.0.0.1:80]", "api [10.0.0.2:80]"])
    }

    @Test func `that are known are not waited for`() throws {
        var completed = 0
        let directory = makeDirectory()
        let first = try upstreams("10.0.0.1:80")
        #expect(directory.news(in: first) == ["10.0.0.1"])
        learn(first, by: directory)
        directory.adopt(first)
        // The loop does not turn any more: nobody answers.
        let second = try upstreams("10.0.0.1:81")
        directory.learn(second) { completed += 1 }
        #expect(completed == 1)
        directory.adopt(second)
        #expect(published == ["api [10.0.0.1:80]", "api [10.0.0.1:81]"])
    }

    @Test func `of a name that cannot be resolved are not waited for again`() throws {
        let directory = makeDirectory()
        // RFC 6761 §6.4: no name server knows it, and most resolvers ask none.
        let lost = try upstreams("nowhere.invalid:80")
        learn(lost, by: directory)
        directory.adopt(lost)
        #expect(published == ["api []"])
        #expect(directory.news(in: lost) == [])
    }

    @Test func `are looked up anew when a name comes back after a configuration without it`() throws {
        let directory = makeDirectory()
        let (first, second) = (try upstreams("10.0.0.1:80"), try upstreams("10.0.0.2:80"))
        for each in [first, second] {
            learn(each, by: directory)
            directory.adopt(each)
        }
        #expect(directory.news(in: first) == ["10.0.0.1"])
    }
}
