internal import COpenSSL

extension KeyMaterial {
    /// The first key of a PEM text: a public key (SubjectPublicKeyInfo or PKCS#1), a certificate, or a private key, of
    /// which the public half is taken. A certificate is a container here: its dates and issuer are not looked at, since
    /// the operator named the file as trusted.
    package init(pem: [UInt8]) throws(KeyError) {
        var found: KeyMaterial?
        try PEMBlocks.read(pem) { (label, data, count) throws(KeyError) in
            if label == "EC PARAMETERS" { return true }
            found = try KeyMaterial.key(labelled: label, in: data, count: count).material()
            return false
        }
        guard let found else { throw .notPEM }
        self = found
    }

    static func key(
        labelled label: String, in data: UnsafePointer<UInt8>, count: Int
    ) throws(KeyError) -> PublicKey {
        var next: UnsafePointer<UInt8>? = data
        let made: OpaquePointer?
        switch label {
        case "PUBLIC KEY":
            made = d2i_PUBKEY(nil, &next, count)
        case "RSA PUBLIC KEY":
            made = d2i_PublicKey(EVP_PKEY_RSA, nil, &next, count)
        case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
            let certificate = d2i_X509(nil, &next, count)
            defer { X509_free(certificate) }
            made = certificate == nil ? nil : X509_get_pubkey(certificate)
        case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
            made = d2i_AutoPrivateKey(nil, &next, count)
        case "ENCRYPTED PRIVATE KEY":
            throw .encryptedPEM
        default:
            throw .notPEM
        }
        guard let key = PublicKey(owning: made) else { throw .unreadable }
        return key
    }

    /// The `n` and `e` of a JWK (RFC 7518 §6.3.1), big-endian.
    package init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(KeyError) {
        guard (1...1025).contains(modulus.count) else { throw .rsaSize(bits: modulus.count * 8) }
        guard (1...9).contains(exponent.count) else { throw .rsaExponent }
        let n = BN_bin2bn(modulus, Int32(modulus.count), nil)
        let e = BN_bin2bn(exponent, Int32(exponent.count), nil)
        defer {
            BN_free(n)
            BN_free(e)
        }
        guard let builder = OSSL_PARAM_BLD_new() else { throw .unreadable }
        defer { OSSL_PARAM_BLD_free(builder) }
        guard gateway_push_rsa(builder, n, e) == 1, let parameters = OSSL_PARAM_BLD_to_param(builder) else {
            throw .unreadable
        }
        defer { OSSL_PARAM_free(parameters) }
        let key = KeyMaterial.build("RSA", parameters)
        guard let key else { throw .unreadable }
        self = try key.material()
    }

    /// The `x` and `y` of a JWK (RFC 7518 §6.2.1): big-endian, each of the full length of the field.
    package init(curve: Curve, x: [UInt8], y: [UInt8]) throws(KeyError) {
        for coordinate in [x, y] where coordinate.count != curve.fieldBytes {
            throw .coordinateLength(bytes: coordinate.count, needed: curve.fieldBytes)
        }
        var point = [4] + x + y
        var name = Array(curve.rawValue.utf8CString)
        let key = point.withUnsafeMutableBufferPointer { point in
            name.withUnsafeMutableBufferPointer { name in
                var parameters = [
                    gateway_group_parameter(name.baseAddress),
                    gateway_point_parameter(point.baseAddress, point.count),
                    OSSL_PARAM_construct_end(),
                ]
                return KeyMaterial.build("EC", &parameters)
            }
        }
        guard let key else { throw .pointInvalid }
        self = try key.material()
    }

    /// The `x` of an OKP key (RFC 8037 §2).
    package init(edwards curve: EdwardsCurve, x: [UInt8]) throws(KeyError) {
        guard x.count == curve.keyBytes else {
            throw .coordinateLength(bytes: x.count, needed: curve.keyBytes)
        }
        let type = curve == .ed25519 ? EVP_PKEY_ED25519 : EVP_PKEY_ED448
        guard let key = PublicKey(owning: EVP_PKEY_new_raw_public_key(type, nil, x, x.count)) else {
            throw .pointInvalid
        }
        self = try key.material()
    }

    private static func build(_ type: String, _ parameters: UnsafeMutablePointer<OSSL_PARAM>) -> PublicKey? {
        defer { ERR_clear_error() }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_fromdata_init(context) == 1,
            EVP_PKEY_fromdata(context, &key, gateway_public_key_selection(), parameters) == 1
        else { return nil }
        return PublicKey(owning: key)
    }
}
