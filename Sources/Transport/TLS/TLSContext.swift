internal import COpenSSL

/// The oldest version that a context speaks; RFC 8996 forbids those before 1.2.
package enum TLSMinimumVersion: Sendable { case tls12, tls13 }

/// What contexts for clients and for servers have in common.
enum TLSContext {
    /// Nil: no memory. The caller's to free.
    static func make(_ method: OpaquePointer?, _ minimum: TLSMinimumVersion) -> OpaquePointer? {
        guard let context = SSL_CTX_new(method) else { return nil }
        _ = gateway_ssl_min_version(context, minimum == .tls13 ? TLS1_3_VERSION : TLS1_2_VERSION)
        // Renegotiation lets the peer make us work for nothing; compression leaks secrets (CRIME).
        SSL_CTX_set_options(context, gateway_ssl_op_no_renegotiation() | gateway_ssl_op_no_compression())
        gateway_ssl_write_modes(context)
        // One read for a record in place of two, its head and the rest. What is read beyond stays in the session, and
        // whoever reads goes on until nothing comes (`Channel.mayHoldMore`).
        gateway_ssl_read_ahead(context)
        // RFC 9325 §4.2: forward secrecy and authenticated encryption only.
        guard SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 else {
            SSL_CTX_free(context)
            return nil
        }
        return context
    }

    /// Lets the context prove who it is. The problem in words; nil: none.
    static func show(_ certificate: TLSCertificate, in context: OpaquePointer) -> String? {
        guard SSL_CTX_use_certificate(context, certificate.leaf.pointer) == 1 else {
            return "OpenSSL does not accept the certificate (is its key too short?)"
        }
        guard SSL_CTX_use_PrivateKey(context, certificate.key.pointer) == 1 else {
            return "OpenSSL does not accept the key"
        }
        for link in certificate.chain where gateway_ssl_add_chain(context, link.pointer) != 1 {
            return "OpenSSL does not accept the chain"
        }
        return nil
    }

    /// Takes the certificates of a PEM for authorities. False: there is none in it, or a damaged one.
    static func trust(_ pem: [UInt8], in context: OpaquePointer, _ body: (X509Handle) -> Bool = { _ in true }) -> Bool {
        defer { ERR_clear_error() }
        guard let authorities = X509Handle.all(inPEM: pem), !authorities.isEmpty,
            let store = SSL_CTX_get_cert_store(context)
        else { return false }
        return authorities.allSatisfy { X509_STORE_add_cert(store, $0.pointer) == 1 && body($0) }
    }
}
