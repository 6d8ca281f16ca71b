internal import COpenSSL

/// Why a handshake failed: a closed list, since it is the label of a metric.
package enum TLSFailure: String, CaseIterable, Sendable {
    /// The peer went away, or the connection broke.
    case closed
    /// It took too long.
    case timeout
    /// No version of TLS that both sides allow.
    case noSharedVersion = "no_shared_version"
    case noSharedCipher = "no_shared_cipher"
    /// The client speaks other protocols than HTTP/1.1 (ALPN, RFC 7301 §3.2).
    case noSharedProtocol = "no_shared_protocol"
    /// Not TLS: plain HTTP on the wrong port, or noise.
    case notTLS = "not_tls"
    /// The peer must show a certificate and showed none.
    case certificateMissing = "certificate_missing"
    /// The peer's certificate was not accepted: unknown issuer, expired, wrong name.
    case certificateRefused = "certificate_refused"
    /// The peer ended the handshake with an alert, most often because it does not accept our certificate.
    case alert
    case other

    /// - Parameter code: from OpenSSL's error queue.
    init(code: UInt, verification: Int) {
        guard gateway_error_library(code) == ERR_LIB_SSL else {
            self = verification != X509_V_OK ? .certificateRefused : .other
            return
        }
        let reason = gateway_error_reason(code)
        switch reason {
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_UNKNOWN_PROTOCOL,
            SSL_R_VERSION_TOO_LOW, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            self = .noSharedVersion
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_KEY_SHARE:
            self = .noSharedCipher
        case SSL_R_NO_APPLICATION_PROTOCOL: self = .noSharedProtocol
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER, SSL_R_BAD_RECORD_TYPE,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_RECORD_LENGTH_MISMATCH:
            self = .notTLS
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: self = .certificateMissing
        case SSL_R_CERTIFICATE_VERIFY_FAILED: self = .certificateRefused
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: self = .closed
        // Alerts of the peer have 1000 added to their number.
        case 1_000...1_255: self = .alert
        default: self = verification != X509_V_OK ? .certificateRefused : .other
        }
    }
}
