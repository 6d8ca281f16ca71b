internal import COpenSSL

/// HMAC with the key loaded once: re-initialising with a NULL key goes back to the state after the key, which saves
/// hashing the padded key for every token.
final class KeyedMAC {
    private let context: OpaquePointer
    private let count: Int

    init?(secret: [UInt8], _ algorithm: SignatureAlgorithm) {
        guard let digest = algorithm.digestName, let mac = EVP_MAC_fetch(nil, "HMAC", nil) else { return nil }
        defer { EVP_MAC_free(mac) }
        guard let context = EVP_MAC_CTX_new(mac) else { return nil }
        var name = Array(digest.utf8CString)
        let done = name.withUnsafeMutableBufferPointer { name in
            var parameters = [
                gateway_digest_parameter(name.baseAddress),
                OSSL_PARAM_construct_end(),
            ]
            return EVP_MAC_init(context, secret, secret.count, &parameters)
        }
        guard done == 1 else {
            EVP_MAC_CTX_free(context)
            ERR_clear_error()
            return nil
        }
        self.context = context
        count = algorithm.digestBytes
    }

    deinit { EVP_MAC_CTX_free(context) }

    /// Nil only when OpenSSL fails.
    func code(of message: Span<UInt8>) -> [UInt8]? {
        var code = [UInt8](repeating: 0, count: 64)
        var written = 0
        let done = message.withUnsafeBufferPointer { message in
            code.withUnsafeMutableBufferPointer { code in
                EVP_MAC_init(context, nil, 0, nil) == 1
                    && EVP_MAC_update(context, message.baseAddress, message.count) == 1
                    && EVP_MAC_final(context, code.baseAddress, &written, code.count) == 1
            }
        }
        guard done, written == count else {
            ERR_clear_error()
            return nil
        }
        return Array(code[..<written])
    }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        var code: [64 of UInt8] = .init(repeating: 0)
        var written = 0
        var span = code.mutableSpan
        let done = message.withUnsafeBufferPointer { message in
            span.withUnsafeMutableBufferPointer { code in
                EVP_MAC_init(context, nil, 0, nil) == 1
                    && EVP_MAC_update(context, message.baseAddress, message.count) == 1
                    && EVP_MAC_final(context, code.baseAddress, &written, code.count) == 1
            }
        }
        guard done, written == count else {
            ERR_clear_error()
            return false
        }
        return Bytes.constantTimeEqual(code.span.extracting(0..<count), signature)
    }
}

/// RSA (PKCS#1 v1.5 and PSS) and ECDSA: the message is hashed, then one prepared `EVP_PKEY_CTX` judges the digest.
final class DigestVerifier {
    private let key: PublicKey
    private let context: OpaquePointer
    private let hash: OpaquePointer
    private let digest: OpaquePointer
    private let digestBytes: Int

    init?(der: [UInt8], _ algorithm: SignatureAlgorithm) {
        defer { ERR_clear_error() }
        guard let name = algorithm.digestName, let key = PublicKey(der: der),
            let digest = EVP_MD_fetch(nil, name, nil)
        else { return nil }
        guard let hash = EVP_MD_CTX_new() else {
            EVP_MD_free(digest)
            return nil
        }
        guard let context = EVP_PKEY_CTX_new(key.pointer, nil) else {
            EVP_MD_CTX_free(hash)
            EVP_MD_free(digest)
            return nil
        }
        self.key = key
        self.digest = digest
        self.hash = hash
        self.context = context
        digestBytes = algorithm.digestBytes
        guard EVP_PKEY_verify_init(context) == 1, EVP_PKEY_CTX_set_signature_md(context, digest) == 1 else {
            return nil
        }
        switch algorithm.family {
        case .rsa:
            guard EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 else { return nil }
        case .rsaPSS:
            // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the hash.
            guard EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1,
                EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1,
                EVP_PKEY_CTX_set_rsa_pss_saltlen(context, Int32(digestBytes)) == 1
            else { return nil }
        case .ecdsa:
            break
        case .hmac, .edwards:
            return nil
        }
    }

    deinit {
        EVP_PKEY_CTX_free(context)
        EVP_MD_CTX_free(hash)
        EVP_MD_free(digest)
    }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        var value: [64 of UInt8] = .init(repeating: 0)
        var span = value.mutableSpan
        let good = message.withUnsafeBufferPointer { message in
            signature.withUnsafeBufferPointer { signature in
                span.withUnsafeMutableBufferPointer { value in
                    EVP_DigestInit_ex2(hash, digest, nil) == 1
                        && EVP_DigestUpdate(hash, message.baseAddress, message.count) == 1
                        && EVP_DigestFinal_ex(hash, value.baseAddress, nil) == 1
                        && EVP_PKEY_verify(
                            context, signature.baseAddress, signature.count, value.baseAddress, digestBytes) == 1
                }
            }
        }
        // A refused signature leaves errors behind, and TLS on the same thread would take them for its own.
        if !good { ERR_clear_error() }
        return good
    }
}

/// Ed25519 and Ed448, which sign the message itself.
final class EdwardsVerifier {
    private let key: PublicKey
    private let context: OpaquePointer

    init?(der: [UInt8]) {
        guard let key = PublicKey(der: der), let context = EVP_MD_CTX_new() else { return nil }
        self.key = key
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    func verifies(_ signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
        let good = message.withUnsafeBufferPointer { message in
            signature.withUnsafeBufferPointer { signature in
                // A context serves one message only, so it is emptied; the memory is kept.
                EVP_MD_CTX_reset(context) == 1
                    && EVP_DigestVerifyInit(context, nil, nil, nil, key.pointer) == 1
                    && EVP_DigestVerify(
                        context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
            }
        }
        if !good { ERR_clear_error() }
        return good
    }
}
