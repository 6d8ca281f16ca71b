/// Makes identifiers for one worker without a lock or a system call: xoshiro256**, seeded by the system's generator.
///
/// The numbers do not repeat, but who has seen a few can compute the rest. They name things; they never guard anything.
package struct IDGenerator: ~Copyable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init() {
        var system = SystemRandomNumberGenerator()
        self.init(seed: (system.next(), system.next(), system.next(), system.next()))
    }

    /// The sequence of a known seed, for tests. All zero would give nothing but zero, so it is not a seed.
    init(seed: (UInt64, UInt64, UInt64, UInt64)) {
        state = seed == (0, 0, 0, 0) ? (1, 0, 0, 0) : seed
    }

    /// The next number of the sequence; any value, zero too.
    package mutating func next() -> UInt64 {
        let result = rotated(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, 45)
        return result
    }

    /// For identifiers in which zero means none.
    mutating func nextNonZero() -> UInt64 {
        while true {
            let value = next()
            if value != 0 { return value }
        }
    }
}

@inline(__always)
private func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }

/// The name of one request in logs and in X-Request-Id: 128 bits, written as 32 hexadecimal digits.
package struct RequestID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(from generator: inout IDGenerator) {
        high = generator.next()
        low = generator.next()
    }

    /// Whether an X-Request-Id of a trusted peer may be kept: 1 to 128 token characters, so that it can be written into a
    /// log or a header without escaping. Of other peers none is kept: they could give two requests one name.
    package static func isAcceptable(_ value: Span<UInt8>) -> Bool {
        guard (1...128).contains(value.count) else { return false }
        for index in value.indices where !Characters.token.contains(value[index]) { return false }
        return true
    }
}
