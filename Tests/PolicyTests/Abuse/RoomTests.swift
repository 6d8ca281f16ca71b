import Policy
import Settings
import Testing

@Suite struct `What there is room for` {
    private func configuration(_ extra: String, keepAlive: Int = 8) throws -> Configuration {
        let text = """
            workers: 2
            upstreams: {api: {servers: ["127.0.0.1:9000", "127.0.0.1:9001"], keep_alive: \(keepAlive)}}
            routes: [{path: /, upstream: api, auth: none}]
            \(extra)
            """
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        return try #require(Configuration.load(source).configuration)
    }

    /// 64 of the process, 2 × (8 + 2 × 8 of pipes + 1 listener) of the workers, 2 × 2 × 8 idle ones to backends, 2 for each client.
    @Test func `is what descriptors reach for`() throws {
        let configuration = try configuration("limits: {connections: 1000}")
        #expect(Room.descriptorsNeeded(by: configuration) == 64 + 50 + 32 + 2_000)
        #expect(Room(configuration, descriptors: 2_146, memory: 0).connections == 1_000)
        #expect(Room(configuration, descriptors: 2_145, memory: 0).connections == 999)
        #expect(Room(configuration, descriptors: .max, memory: 0).connections == 1_000)
    }

    @Test func `is not given to idle connections of the pools alone`() throws {
        let configuration = try configuration("limits: {connections: 1000}", keepAlive: 64)
        #expect(Room(configuration, descriptors: 400, memory: 0).connections == (400 - 114 - 100) / 2)
        #expect(Room(configuration, descriptors: 20, memory: 0).connections == 1)
        // 40 of its own, and of each worker four and a listener.
        #expect(Room.leastDescriptors(for: configuration) == 40 + 2 * 5)
    }

    @Test func `is half of the memory where nothing is set`() throws {
        let unset = try configuration("")
        #expect(Room(unset, descriptors: .max, memory: 1 << 30).memory == 1 << 29)
        #expect(Room(unset, descriptors: .max, memory: 1 << 20).memory == 64 << 20)
        #expect(
            Room(try configuration("limits: {memory: 20MiB}"), descriptors: .max, memory: 1 << 30).memory == 20 << 20)
    }
}

/// An expectation cannot change a value.
private final class Watch {
    private var watch = PressureWatch()
    var all: [Pressure] { watch.all }
    func look(_ what: Pressure, used: Int, limit: Int) -> Bool? { watch.look(what, used: used, limit: limit) }
}

@Suite struct `A watch on pressure` {
    @Test func `begins at nine tenths and is over below seven`() {
        let watch = Watch()
        #expect(watch.look(.memory, used: 89, limit: 100) == nil)
        #expect(watch.look(.memory, used: 90, limit: 100) == true)
        #expect(watch.look(.memory, used: 100, limit: 100) == nil)
        #expect(watch.look(.memory, used: 70, limit: 100) == nil)
        #expect(watch.all == [.memory])
        #expect(watch.look(.memory, used: 69, limit: 100) == false)
        #expect(watch.look(.memory, used: 0, limit: 100) == nil)
        #expect(watch.all == [])
    }

    @Test func `is of each thing by itself`() {
        let watch = Watch()
        #expect(watch.look(.memory, used: 5, limit: 5) == true)
        #expect(watch.look(.connections, used: .max, limit: .max) == true)
        #expect(watch.all == [.connections, .memory])
    }
}
