internal import COpenSSL

/// Signs with one key. Its OpenSSL contexts are made once and used again for every message. Not `Sendable`: one per worker.
package final class Signer {
    /// Of every signature: both algorithms give two numbers of 32 bytes (RFC 7518 §3.4, RFC 8032 §5.1.6).
    package static let signatureBytes = 64

    package let key: SigningKey
    private let engine: Engine

    private enum Engine {
        /// For a digest, prepared with the key.
        case ecdsa(context: OpaquePointer, hash: OpaquePointer, digest: OpaquePointer)
        case edwards(context: OpaquePointer)
    }

    package init(_ key: SigningKey) throws(KeyError) {
        self.key = key
        guard let engine = Signer.engine(key) else {
            ERR_clear_error()
            throw .unreadable
        }
        self.engine = engine
    }

    private static func engine(_ key: SigningKey) -> Engine? {
        guard let hash = EVP_MD_CTX_new() else { return nil }
        guard key.algorithm == .es256 else { return .edwards(context: hash) }
        guard let digest = EVP_MD_fetch(nil, "SHA256", nil) else {
            EVP_MD_CTX_free(hash)
            return nil
        }
        guard let context = EVP_PKEY_CTX_new(key.pointer, nil) else {
            EVP_MD_CTX_free(hash)
            EVP_MD_free(digest)
            return nil
        }
        let made = Engine.ecdsa(context: context, hash: hash, digest: digest)
        guard EVP_PKEY_sign_init(context) == 1, EVP_PKEY_CTX_set_signature_md(context, digest) == 1 else {
            free(made)
            return nil
        }
        return made
    }

    private static func free(_ engine: Engine) {
        switch engine {
        case .ecdsa(let context, let hash, let digest):
            EVP_PKEY_CTX_free(context)
            EVP_MD_CTX_free(hash)
            EVP_MD_free(digest)
        case .edwards(let context): EVP_MD_CTX_free(context)
        }
    }

    deinit { Signer.free(engine) }

    /// The signature of `message` in the form JOSE gives it, `signatureBytes` long. Nil when OpenSSL refuses, as it does without
    /// memory, or with a key that has no private half.
    package func sign(_ message: Span<UInt8>) -> [UInt8]? {
        var signature = [UInt8](repeating: 0, count: Signer.signatureBytes)
        let good =
            switch engine {
            case .ecdsa(let context, let hash, let digest): signDigest(message, context, hash, digest, &signature)
            case .edwards(let context): signMessage(message, context, &signature)
            }
        // What is left of a failure TLS on the same thread would take for its own.
        if !good { ERR_clear_error() }
        return good ? signature : nil
    }

    private func signDigest(
        _ message: Span<UInt8>, _ context: OpaquePointer, _ hash: OpaquePointer, _ digest: OpaquePointer,
        _ signature: inout [UInt8]
    ) -> Bool {
        var value: [32 of UInt8] = .init(repeating: 0)
        // SEQUENCE of two INTEGERs, each with a zero in front of a set high bit at most.
        var der: [72 of UInt8] = .init(repeating: 0)
        var count = 72
        var valueSpan = value.mutableSpan
        var derSpan = der.mutableSpan
        let done = message.withUnsafeBufferPointer { message in
            valueSpan.withUnsafeMutableBufferPointer { value in
                derSpan.withUnsafeMutableBufferPointer { der in
                    EVP_DigestInit_ex2(hash, digest, nil) == 1
                        && EVP_DigestUpdate(hash, message.baseAddress, message.count) == 1
                        && EVP_DigestFinal_ex(hash, value.baseAddress, nil) == 1
                        && EVP_PKEY_sign(context, der.baseAddress, &count, value.baseAddress, value.count) == 1
                }
            }
        }
        guard done else { return false }
        return SignatureNumbers.write(der.span.extracting(0..<count), to: &signature)
    }

    private func signMessage(_ message: Span<UInt8>, _ context: OpaquePointer, _ signature: inout [UInt8]) -> Bool {
        var count = signature.count
        let done = message.withUnsafeBufferPointer { message in
            // A context serves one message only, so it is emptied; the memory is kept.
            EVP_MD_CTX_reset(context) == 1
                && EVP_DigestSignInit(context, nil, nil, nil, key.pointer) == 1
                && EVP_DigestSign(context, &signature, &count, message.baseAddress, message.count) == 1
        }
        return done && count == signature.count
    }
}

/// R‖S of a P-256 signature from `SEQUENCE { INTEGER r, INTEGER s }`.
enum SignatureNumbers {
    private static let fieldBytes = 32

    /// - Parameter signature: 64 zeros. False, with them in an unknown state: `der` is something else.
    static func write(_ der: Span<UInt8>, to signature: inout [UInt8]) -> Bool {
        // At most 2 + 2 × (2 + 1 + 32) bytes, so every length is one byte.
        guard der.count >= 2, der[0] == 0x30, Int(der[1]) == der.count - 2 else { return false }
        var at = 2
        for place in 0..<2 {
            guard at + 2 <= der.count, der[at] == 0x02 else { return false }
            var start = at + 2
            let end = start + Int(der[at + 1])
            guard end <= der.count, end > start else { return false }
            at = end
            if der[start] == 0 { start += 1 }
            guard end - start <= fieldBytes else { return false }
            let shift = (place + 1) * fieldBytes - end
            for index in start..<end { signature[index + shift] = der[index] }
        }
        return at == der.count
    }
}
