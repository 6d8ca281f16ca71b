internal import COpenSSL

/// An `EVP_PKEY` that this object owns and frees. It stays inside the Crypto target.
final class PublicKey {
    let pointer: OpaquePointer

    /// Takes over `pointer`; nil (with the error queue cleared) when OpenSSL made none.
    init?(owning pointer: OpaquePointer?) {
        guard let pointer else {
            ERR_clear_error()
            return nil
        }
        self.pointer = pointer
    }

    /// From a SubjectPublicKeyInfo in DER, all of it.
    convenience init?(der: [UInt8]) {
        self.init(
            owning: der.withUnsafeBufferPointer { bytes in
                var next = bytes.baseAddress
                let key = d2i_PUBKEY(nil, &next, bytes.count)
                guard next == bytes.baseAddress.map({ $0 + bytes.count }) else {
                    EVP_PKEY_free(key)
                    return nil
                }
                return key
            })
    }

    deinit { EVP_PKEY_free(pointer) }

    var bits: Int { Int(EVP_PKEY_get_bits(pointer)) }

    /// The SubjectPublicKeyInfo in DER: without the private half, whatever the key was read from.
    var der: [UInt8]? {
        var output: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(pointer, &output)
        guard count > 0, let output else {
            ERR_clear_error()
            return nil
        }
        defer { CRYPTO_free(output, #file, #line) }
        return Array(UnsafeBufferPointer(start: output, count: Int(count)))
    }

    /// Of a key on an Edwards curve: the encoded point.
    var raw: [UInt8]? {
        var count = 0
        guard EVP_PKEY_get_raw_public_key(pointer, nil, &count) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        guard EVP_PKEY_get_raw_public_key(pointer, &bytes, &count) == 1 else { return nil }
        return bytes
    }

    var kind: KeyMaterial.Kind? {
        if EVP_PKEY_is_a(pointer, "RSA") == 1 { return .rsa(bits: bits) }
        if EVP_PKEY_is_a(pointer, "ED25519") == 1 { return .edwards(.ed25519) }
        if EVP_PKEY_is_a(pointer, "ED448") == 1 { return .edwards(.ed448) }
        guard EVP_PKEY_is_a(pointer, "EC") == 1 else { return nil }
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        // A curve with explicit parameters has no name and is refused with the unknown ones.
        guard EVP_PKEY_get_utf8_string_param(pointer, OSSL_PKEY_PARAM_GROUP_NAME, &name, name.count, &count) == 1
        else {
            ERR_clear_error()
            return nil
        }
        switch String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) {
        case "prime256v1", "P-256": return .elliptic(.p256)
        case "secp384r1", "P-384": return .elliptic(.p384)
        case "secp521r1", "P-521": return .elliptic(.p521)
        default: return nil
        }
    }

    /// RSA: the exponent is odd, above 1 and at most 64 bits. With an exponent of 1 every padded digest is its own
    /// signature; a huge one makes each verification as slow as a private operation.
    private var hasUsableExponent: Bool {
        var exponent: OpaquePointer?
        guard EVP_PKEY_get_bn_param(pointer, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 else { return false }
        defer { BN_free(exponent) }
        return BN_is_odd(exponent) == 1 && BN_is_one(exponent) == 0 && BN_num_bits(exponent) <= 64
    }

    /// A coordinate of a key on a P curve: big-endian, of the full length of the field.
    func coordinate(_ name: String, bytes count: Int) -> [UInt8]? {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(pointer, name, &number) == 1 else { return nil }
        defer { BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: count)
        return BN_bn2binpad(number, &bytes, Int32(count)) == Int32(count) ? bytes : nil
    }

    /// RSA: the factors of the modulus can be found.
    private var isFactorable: Bool {
        var modulus: OpaquePointer?
        guard EVP_PKEY_get_bn_param(pointer, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 else { return true }
        defer { BN_free(modulus) }
        return FactorableModuli.contains(modulus)
    }

    /// OpenSSL's own check of a public key: for a curve, that the point lies on it and in its group.
    private var passesPublicCheck: Bool {
        guard let context = EVP_PKEY_CTX_new(pointer, nil) else { return false }
        defer { EVP_PKEY_CTX_free(context) }
        return EVP_PKEY_public_check(context) == 1
    }

    /// The key as a value, after every check that is worth doing once.
    func material() throws(KeyError) -> KeyMaterial {
        defer { ERR_clear_error() }
        guard let kind else { throw .unsupportedKind }
        switch kind {
        case .rsa(let bits):
            guard (2048...8192).contains(bits) else { throw .rsaSize(bits: bits) }
            guard hasUsableExponent else { throw .rsaExponent }
            guard !isFactorable else { throw .rsaFactorable }
        case .elliptic:
            guard passesPublicCheck else { throw .pointInvalid }
        case .edwards(let curve):
            guard passesPublicCheck, let raw, !SmallOrderPoints.contains(raw, on: curve) else { throw .pointInvalid }
        case .secret:
            throw .unsupportedKind
        }
        guard let der else { throw .unreadable }
        return KeyMaterial(kind: kind, encoded: der)
    }
}
