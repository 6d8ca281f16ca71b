internal import COpenSSL

/// A private key that this process signs with, on P-256 or Ed25519. Immutable and counted: threads share it, and each makes
/// its own `Signer` from it. Nothing shows the private half but `pem`.
package final class SigningKey: Sendable {
    package let publicKey: PublicJWK
    package var algorithm: SignatureAlgorithm { publicKey.algorithm }
    package var id: String { publicKey.id }
    /// Owned. OpenSSL counts its users with atomics and only reads a key that is complete; it wipes the private half when the
    /// last user has gone.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over `pointer`.
    private init(owning pointer: OpaquePointer, _ publicKey: PublicJWK) {
        self.pointer = pointer
        self.publicKey = publicKey
    }

    deinit { EVP_PKEY_free(pointer) }

    /// Takes over `pointer` when it is a key that signs. It has to show that it does: halves that do not belong together would
    /// otherwise be noticed by whoever verifies.
    static func checked(owning pointer: OpaquePointer?) throws(KeyError) -> SigningKey {
        defer { ERR_clear_error() }
        guard let pointer else { throw .unreadable }
        // One user more, for the object that looks at the public half.
        EVP_PKEY_up_ref(pointer)
        let material: KeyMaterial
        let publicKey: PublicJWK
        do throws(KeyError) {
            guard let half = PublicKey(owning: pointer) else { throw .unreadable }
            publicKey = try half.jwk()
            material = try half.material()
        } catch {
            EVP_PKEY_free(pointer)
            throw error
        }
        let key = SigningKey(owning: pointer, publicKey)
        let sample = Array(publicKey.id.utf8)
        guard let signature = try Signer(key).sign(sample.span) else { throw .notPrivate }
        guard try SignatureChecker(material, key.algorithm).verifies(signature.span, of: sample.span) else {
            throw .halvesDiffer
        }
        return key
    }

    /// A new key for `ES256` or `EdDSA`.
    package static func make(_ algorithm: SignatureAlgorithm) throws(KeyError) -> SigningKey {
        let name: String
        switch algorithm {
        case .es256: name = "EC"
        case .edDSA: name = "ED25519"
        default: throw .algorithmDoesNotFit(algorithm)
        }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, name, nil) else { throw .unreadable }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            algorithm != .es256 || EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1
        else {
            ERR_clear_error()
            throw .unreadable
        }
        return try checked(owning: key)
    }

    /// The private key as PKCS#8 in PEM. Whoever asks wipes it (`Bytes.wipe`).
    package var pem: [UInt8]? {
        defer { ERR_clear_error() }
        guard let output = BIO_new(BIO_s_secmem()) else { return nil }
        defer { BIO_free(output) }
        guard PEM_write_bio_PrivateKey(output, pointer, nil, nil, 0, nil, nil) == 1 else { return nil }
        var text = [UInt8](repeating: 0, count: BIO_ctrl_pending(output))
        let count = BIO_read(output, &text, Int32(text.count))
        return count == text.count ? text : nil
    }
}

/// A key of a PEM text.
package enum PEMKey: Sendable {
    case signing(SigningKey)
    /// A public key, or a certificate with one.
    case verifying(PublicJWK)

    package var publicKey: PublicJWK {
        switch self {
        case .signing(let key): key.publicKey
        case .verifying(let key): key
        }
    }

    /// All keys of the text, in its order; each must be one that signs here, or the public half of one.
    package static func read(_ pem: [UInt8]) throws(KeyError) -> [PEMKey] {
        var keys: [PEMKey] = []
        try PEMBlocks.read(pem) { (label, data, count) throws(KeyError) in
            if label == "EC PARAMETERS" { return true }
            if label.hasSuffix("PRIVATE KEY"), label != "ENCRYPTED PRIVATE KEY" {
                var next: UnsafePointer<UInt8>? = data
                keys.append(.signing(try SigningKey.checked(owning: d2i_AutoPrivateKey(nil, &next, count))))
            } else {
                let key = try KeyMaterial.key(labelled: label, in: data, count: count)
                let found = try key.jwk()
                _ = try key.material()
                keys.append(.verifying(found))
            }
            return true
        }
        return keys
    }
}

extension SigningKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Its name and never its bytes.
    package var description: String { "\(algorithm.name) key \(id)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
