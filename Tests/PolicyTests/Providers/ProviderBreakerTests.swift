import Testing
import Wire

@testable import Policy

/// By reference: an expectation cannot change a value.
private final class Provider {
    private var breaker = ProviderBreaker()
    private var trail = ProviderTrail()

    private func at(_ seconds: Int) -> Instant { House.now + .seconds(seconds) }

    func allows(_ seconds: Int) -> Bool { breaker.allows(at: at(seconds)) }
    func succeeds() { breaker.succeeded() }
    func fails(_ seconds: Int) -> Bool { breaker.failed(at: at(seconds)) }
    func fails(_ seconds: Int, asked: Int) -> Bool { breaker.failed(at: at(seconds), asked: at(asked)) }
    func tellsFailure(_ seconds: Int) -> Int? { trail.failed(at: at(seconds)) }
    func tellsSuccess() -> Int? { trail.worked() }
}

@Suite struct `A provider in trouble` {
    @Test func `is spared after five failures in a row, and tried after a minute`() {
        let provider = Provider()
        for _ in 0..<4 { #expect(!provider.fails(0)) }
        provider.succeeds()
        for _ in 0..<4 { #expect(!provider.fails(1)) }
        #expect(provider.allows(1))
        #expect(provider.fails(1))
        #expect(!provider.fails(2), "asked before")
        #expect(!provider.allows(60))
        #expect(provider.allows(61))
        #expect(!provider.allows(61), "one finds out")
        #expect(provider.fails(62))
        #expect(!provider.allows(121))
        #expect(provider.allows(122))
        provider.succeeds()
        #expect(provider.allows(122) && provider.allows(122))
    }

    @Test func `has failed once to all questions that were open together`() {
        let provider = Provider()
        for _ in 0..<64 { #expect(!provider.fails(2, asked: 0)) }
        #expect(!provider.fails(3, asked: 1) && provider.allows(3))
        for second in [4, 6, 8] { #expect(!provider.fails(second, asked: second - 2)) }
        #expect(provider.fails(10, asked: 8) && !provider.allows(10))
    }

    @Test func `is told now and then, and when it is over`() {
        let provider = Provider()
        #expect(provider.tellsSuccess() == nil)
        #expect(provider.tellsFailure(1) == 1)
        #expect(provider.tellsFailure(2) == nil)
        #expect(provider.tellsFailure(10) == nil)
        #expect(provider.tellsFailure(11) == 3)
        #expect(provider.tellsSuccess() == 0)
        #expect(provider.tellsFailure(13) == nil)
        #expect(provider.tellsSuccess() == nil)
    }
}
