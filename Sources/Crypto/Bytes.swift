internal import COpenSSL
internal import Glibc

/// The digest, the comparison and the randomness that the other layers need.
package enum Bytes {
    /// SHA-256: 32 bytes.
    package static func sha256(_ message: Span<UInt8>) -> [UInt8] { digest(message, EVP_sha256(), count: 32) }

    /// SHA-1: 20 bytes. Proves nothing any more; the WebSocket handshake only echoes with it (RFC 6455 §10.8).
    package static func sha1(_ message: Span<UInt8>) -> [UInt8] { digest(message, EVP_sha1(), count: 20) }

    private static func digest(_ message: Span<UInt8>, _ kind: OpaquePointer?, count: Int) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: count)
        let done = message.withUnsafeBufferPointer { input in
            digest.withUnsafeMutableBufferPointer { output in
                EVP_Digest(input.baseAddress, input.count, output.baseAddress, nil, kind, nil)
            }
        }
        precondition(done == 1, "SHA-1 and SHA-256 are part of every OpenSSL")
        return digest
    }

    /// Equal length and content, in a time that depends on the length only: for what an attacker could guess byte by
    /// byte.
    package static func constantTimeEqual(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
        guard a.count == b.count else { return false }
        guard a.count > 0 else { return true }
        return a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0 }
        }
    }

    /// Equal length and content, as fast as can be: for what is no secret, or cannot be approached step by step.
    package static func equal(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
        guard a.count == b.count else { return false }
        guard a.count > 0 else { return true }
        return a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
        }
    }

    /// `count` bytes that nobody can foretell. Traps when the system has none: nothing that needs them may go on.
    package static func random(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = bytes.withUnsafeMutableBufferPointer { RAND_bytes($0.baseAddress, Int32($0.count)) }
        precondition(done == 1, "no randomness to be had")
        return bytes
    }

    /// Overwrites what was secret, in a way that no compiler leaves out, and empties the array. The caller's must be the only
    /// copy: another one would be made first, and stay.
    package static func wipe(_ secret: inout [UInt8]) {
        secret.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        secret = []
    }

    /// The place of the first `byte` in `bytes` from `start` on; nil when there is none.
    package static func index(of byte: UInt8, in bytes: Span<UInt8>, from start: Int = 0) -> Int? {
        guard start < bytes.count else { return nil }
        return bytes.withUnsafeBufferPointer { buffer in
            let base = UnsafeRawPointer(buffer.baseAddress!)
            guard let found = memchr(base + start, Int32(byte), buffer.count - start) else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}
