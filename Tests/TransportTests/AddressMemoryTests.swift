import Testing
import Wire

@testable import Transport

@Suite struct `Addresses of names that are asked for often` {
    private let start = Instant(nanoseconds: 0)
    private let host = "captcha.example.org"
    private let first = [IPAddress("192.0.2.1")!]
    private let second = [IPAddress("192.0.2.2")!]
    private let failure = Result<[IPAddress], ResolveError>.failure(ResolveError(description: "no answer"))

    @Test func `are looked up by one at a time, for all who wait`() {
        var memory = AddressMemory(for: .seconds(60))
        #expect(memory.wait(for: host, 1) == true)
        #expect(memory.wait(for: host, 2) == false)
        #expect(memory.wait(for: "another.example.org", 3) == true)
        let told = memory.take(.success(first), of: host, at: start)
        #expect(told.tickets == [1, 2] && told.result == .success(first))
        #expect(memory.wait(for: host, 4) == true, "that one is over")
    }

    @Test func `are known for a while`() {
        var memory = AddressMemory(for: .seconds(60))
        #expect(memory.addresses(of: host, at: start) == nil)
        _ = memory.take(.success(first), of: host, at: start)
        #expect(memory.addresses(of: host, at: start + .seconds(59)) == first)
        #expect(memory.addresses(of: host, at: start + .seconds(60)) == nil)
        #expect(memory.take(.success(second), of: host, at: start + .seconds(61)).result == .success(second))
        #expect(memory.addresses(of: host, at: start + .seconds(62)) == second)
    }

    @Test func `are the last ones while a name server does not answer`() {
        var memory = AddressMemory(for: .seconds(60))
        #expect(memory.take(failure, of: host, at: start).result == failure)
        #expect(memory.addresses(of: host, at: start) == nil)
        _ = memory.take(.success(first), of: host, at: start)
        #expect(memory.take(failure, of: host, at: start + .seconds(90)).result == .success(first))
        #expect(memory.addresses(of: host, at: start + .seconds(149)) == first)
        #expect(memory.addresses(of: host, at: start + .seconds(150)) == nil)
    }
}
