import Testing
import Wire

@testable import Transport

@Suite struct `The addresses of this host` {
    @Test func `leave out loopback and name each once`() {
        let addresses = LocalAddresses.all()
        #expect(!addresses.contains { $0.isLoopback })
        #expect(Set(addresses).count == addresses.count)
    }
}
