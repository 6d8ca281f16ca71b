internal import COpenSSL

/// The RSA keys of a library that chips and smart cards carry (CVE-2017-15361, "ROCA"). Each of its primes is
/// k·M + 65537^a mod M, where M is a product of the first primes, which leaves so little to guess that a modulus of 2048
/// bits can be factored. Whoever has done that signs as he likes.
enum FactorableModuli {
    /// A modulus of theirs is a power of 65537 modulo each prime in M. One of 2048 random bits is that by chance once in
    /// 2¹⁶⁷, and nearly always fails at one of the first few.
    static func contains(_ modulus: OpaquePointer?) -> Bool {
        primes.allSatisfy { prime in isPower(BN_mod_word(modulus, prime), modulo: prime) }
    }

    /// The odd primes of M for a modulus of 1984 to 3936 bits. A longer one has these and more.
    private static let primes: [UInt] = stride(from: 3, through: 701, by: 2).filter { number in
        !stride(from: 3, to: number, by: 2).contains { number % $0 == 0 }
    }

    private static func isPower(_ value: UInt, modulo prime: UInt) -> Bool {
        var power: UInt = 1
        repeat {
            if power == value { return true }
            power = power * 65_537 % prime
        } while power != 1
        return false
    }
}
