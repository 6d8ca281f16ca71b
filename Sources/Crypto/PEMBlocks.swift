internal import COpenSSL

/// The blocks of a PEM text (RFC 7468), one after another; what stands between them is for people.
enum PEMBlocks {
    /// Calls `take` with label and content of each block, until it returns false. The content is wiped behind it: it may be
    /// a private key. Throws `notPEM` for a text without a block.
    static func read(
        _ pem: [UInt8], _ take: (String, UnsafePointer<UInt8>, Int) throws(KeyError) -> Bool
    ) throws(KeyError) {
        // A copy of its own, wiped when freed.
        guard let input = BIO_new(BIO_s_secmem()) else { throw .notPEM }
        defer {
            BIO_free(input)
            ERR_clear_error()
        }
        guard !pem.isEmpty, BIO_write(input, pem, Int32(clamping: pem.count)) == pem.count else { throw .notPEM }
        var hasBlock = false
        while true {
            var name: UnsafeMutablePointer<CChar>?
            var header: UnsafeMutablePointer<CChar>?
            var data: UnsafeMutablePointer<UInt8>?
            var count = 0
            ERR_clear_error()
            guard PEM_read_bio(input, &name, &header, &data, &count) == 1, let name, let data else {
                // Behind the last block there is no further line that begins one; all else is a broken block.
                guard hasBlock else { throw .notPEM }
                guard gateway_error_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE else { throw .unreadable }
                return
            }
            defer {
                CRYPTO_free(name, #file, #line)
                CRYPTO_free(header, #file, #line)
                OPENSSL_cleanse(data, count)
                CRYPTO_free(data, #file, #line)
            }
            if let header, header.pointee != 0 { throw .encryptedPEM }
            hasBlock = true
            guard try take(String(cString: name), UnsafePointer(data), count) else { return }
        }
    }
}
