internal import COpenSSL

/// Verifies signatures of one algorithm under one key. Its OpenSSL contexts are made once and used again for every
/// token, which for HMAC is a third of the cost of a fresh one. Not `Sendable`: one per worker.
package final class SignatureChecker {
    package let algorithm: SignatureAlgorithm
    private let engine: Engine

    /// Throws when the key cannot be used with the algorithm; the binding of both is decided here and nowhere later.
    package init(_ material: KeyMaterial, _ algorithm: SignatureAlgorithm) throws(KeyError) {
        guard material.algorithms.contains(algorithm) else { throw .algorithmDoesNotFit(algorithm) }
        self.algorithm = algorithm
        switch material.kind {
        case .secret:
            guard let mac = KeyedMAC(secret: material.encoded, algorithm) else { throw .unreadable }
            engine = .mac(mac)
        case .rsa(let bits):
            guard let verifier = DigestVerifier(der: material.encoded, algorithm) else { throw .unreadable }
            engine = .rsa(verifier, signatureBytes: (bits + 7) / 8)
        case .elliptic(let curve):
            guard let verifier = DigestVerifier(der: material.encoded, algorithm) else { throw .unreadable }
            engine = .ecdsa(verifier, fieldBytes: curve.fieldBytes)
        case .edwards(let curve):
            guard let verifier = EdwardsVerifier(der: material.encoded) else { throw .unreadable }
            engine = .edwards(verifier, signatureBytes: curve.signatureBytes)
        }
    }

    private enum Engine {
        case mac(KeyedMAC)
        case rsa(DigestVerifier, signatureBytes: Int)
        case ecdsa(DigestVerifier, fieldBytes: Int)
        case edwards(EdwardsVerifier, signatureBytes: Int)
    }

    /// Whether `signature`, in the form JOSE gives it (RFC 7518 §3), is one of `message`.
    package func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        switch engine {
        case .mac(let mac):
            return mac.verifies(signature, of: message)
        case .rsa(let verifier, let count):
            // RFC 8017 §8.1.2 and §8.2.2, step 1: exactly as long as the modulus.
            return signature.count == count && verifier.verifies(signature, of: message)
        case .ecdsa(let verifier, let count):
            // R and S, each of the full length: DER in a token is refused (RFC 7518 §3.4).
            guard signature.count == 2 * count else { return false }
            var der = SignatureDER()
            der.write(signature, fieldBytes: count)
            return verifier.verifies(der.span, of: message)
        case .edwards(let verifier, let count):
            return signature.count == count && verifier.verifies(signature, of: message)
        }
    }
}

/// `SEQUENCE { INTEGER r, INTEGER s }` from R‖S, in a buffer on the stack.
private struct SignatureDER {
    // The longest is P-521's: 3 + 2 × (2 + 1 + 66) bytes.
    private var buffer: [141 of UInt8] = .init(repeating: 0)
    private var count = 0

    var span: Span<UInt8> {
        @_lifetime(borrow self)
        get { buffer.span.extracting(0..<count) }
    }

    mutating func write(_ signature: Span<UInt8>, fieldBytes: Int) {
        let r = firstDigit(of: signature, from: 0, to: fieldBytes)
        let s = firstDigit(of: signature, from: fieldBytes, to: 2 * fieldBytes)
        let length = integerBytes(signature, r, fieldBytes) + integerBytes(signature, s, 2 * fieldBytes)
        append(0x30)
        if length > 127 { append(0x81) }
        append(UInt8(length))
        appendInteger(signature, from: r, to: fieldBytes)
        appendInteger(signature, from: s, to: 2 * fieldBytes)
    }

    private mutating func append(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    /// The first byte of the shortest form: DER has no leading zeros.
    private func firstDigit(of signature: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var at = start
        while at < end - 1, signature[at] == 0 { at += 1 }
        return at
    }

    private func integerBytes(_ signature: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        2 + end - start + (signature[start] >> 7 == 1 ? 1 : 0)
    }

    private mutating func appendInteger(_ signature: Span<UInt8>, from start: Int, to end: Int) {
        append(0x02)
        append(UInt8(integerBytes(signature, start, end) - 2))
        // A set high bit would make the number negative.
        if signature[start] >> 7 == 1 { append(0) }
        for at in start..<end { append(signature[at]) }
    }
}
