import Testing
import Wire

@testable import GatewayCore

@Suite struct `The scope of a block` {
    private func network(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }

    private func scope(_ text: String, _ neverBlocked: String...) throws -> BlockScope {
        BlockScope(of: try network(text), neverBlocked: try neverBlocked.map(network))
    }

    @Test func `is the whole network where nobody is spared`() throws {
        #expect(try scope("192.0.2.0/24") == .whole)
        #expect(try scope("192.0.2.0/24", "10.0.0.0/8", "::1") == .whole)
    }

    @Test func `leaves out who is never blocked`() throws {
        #expect(
            try scope("10.0.0.0/8", "10.0.0.1", "192.0.2.1", "10.9.0.0/16")
                == .allBut([network("10.0.0.1"), network("10.9.0.0/16")]))
    }

    @Test func `is nothing within a network that is never blocked`() throws {
        #expect(try scope("10.0.0.1", "10.0.0.0/8") == .nothing(because: network("10.0.0.0/8")))
        #expect(try scope("10.0.0.0/8", "10.0.0.0/8") == .nothing(because: network("10.0.0.0/8")))
    }
}
