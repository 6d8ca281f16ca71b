internal import COpenSSL

/// Seals what is kept where others can read and write: AES-256-GCM (NIST SP 800-38D) with a random nonce. Whoever does not have
/// the key can neither read what is sealed nor make anything that opens.
package struct SealingKey: Sendable {
    private let key: [UInt8]
    private static let nonceBytes = 12
    private static let tagBytes = 16

    /// - Parameters:
    ///   - secret: of at least 32 bytes that cannot be guessed.
    ///   - purpose: keys of one secret for two purposes have nothing in common.
    package init(secret: [UInt8], purpose: String) throws(KeyError) {
        guard let key = try KeyMaterial(secret: secret).code(of: Array(purpose.utf8).span, .hs256) else {
            throw .unreadable
        }
        self.key = key
    }

    /// Nonce, sealed bytes and tag in a row.
    /// - Parameter name: opened under another name it does not open.
    package func seal(_ plain: [UInt8], as name: String) -> [UInt8] {
        let nonce = Bytes.random(SealingKey.nonceBytes)
        var sealed = [UInt8](repeating: 0, count: plain.count)
        var tag = [UInt8](repeating: 0, count: SealingKey.tagBytes)
        let name = Array(name.utf8)
        var count: Int32 = 0
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        let done =
            EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, nil) == 1
            && EVP_EncryptUpdate(context, nil, &count, name, Int32(name.count)) == 1
            && EVP_EncryptUpdate(context, &sealed, &count, plain, Int32(plain.count)) == 1
            && EVP_EncryptFinal_ex(context, nil, &count) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, Int32(SealingKey.tagBytes), &tag) == 1
        precondition(done, "AES-256-GCM is part of every OpenSSL")
        return nonce + sealed + tag
    }

    /// Nil: it was not sealed with this key under this name, or was changed since.
    package func open(_ sealed: [UInt8], as name: String) -> [UInt8]? {
        let length = sealed.count - SealingKey.nonceBytes - SealingKey.tagBytes
        guard length >= 0 else { return nil }
        let nonce = Array(sealed[..<SealingKey.nonceBytes])
        let text = Array(sealed[SealingKey.nonceBytes..<SealingKey.nonceBytes + length])
        var tag = Array(sealed.suffix(SealingKey.tagBytes))
        let name = Array(name.utf8)
        var plain = [UInt8](repeating: 0, count: length)
        var count: Int32 = 0
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        let done =
            EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, nil) == 1
            && EVP_DecryptUpdate(context, nil, &count, name, Int32(name.count)) == 1
            && EVP_DecryptUpdate(context, &plain, &count, text, Int32(length)) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, Int32(SealingKey.tagBytes), &tag) == 1
            && EVP_DecryptFinal_ex(context, nil, &count) == 1
        guard done else {
            ERR_clear_error()
            return nil
        }
        return plain
    }
}
