internal import COpenSSL
internal import Glibc

/// One TLS connection on a non-blocking socket: OpenSSL reads and writes the descriptor itself. Belongs to the thread of
/// its connection.
///
/// Memory and errors: the `SSL` is ours (freed in `deinit`), the descriptor is the connection's. OpenSSL's error queue is
/// the thread's, so it is emptied before every call whose error is asked for.
package final class TLSSession {
    /// What a step of the handshake brought.
    package enum Handshake: Equatable, Sendable {
        case done
        /// Come back at the next edge.
        case wouldBlock
        case failed(TLSFailure)
    }

    /// Records that are no application data which a peer may send in all: a handshake is some ten of them, long chains and
    /// tickets included, and a change of keys (RFC 8446 §4.6.3) is due after millions of records. OpenSSL takes as many as the
    /// socket holds in one call, each for a derivation of keys or an alert, and would serve nobody else meanwhile.
    package static let mostOtherRecords: Int32 = 256

    /// A ClientHello may have 128 KiB, and OpenSSL makes room for all of it when it has read the length; 16 KiB are what it
    /// reads into.
    private static let largeHandshake = 144 << 10

    package let socket: StreamSocket
    private let ssl: OpaquePointer
    /// The context lives as long as its sessions: OpenSSL counts it, this keeps what its callbacks refer to.
    private let context: AnyObject
    private var readNeedsWrite = false
    private var writeNeedsRead = false
    private var state = State.handshaking
    /// OpenSSL's code of the error that broke the session.
    private var errorCode: UInt = 0
    /// Counted inside of our calls on `ssl`.
    private let others = UnsafeMutablePointer<gateway_record_count>.allocate(capacity: 1)
    /// What OpenSSL may hold for the handshake of a client that goes on with a large message, or has announced one; 0 for
    /// others, and when it is done.
    package private(set) var handshakeMemory = 0
    private var isFlooded: Bool { others.pointee.records > TLSSession.mostOtherRecords }

    private enum State {
        /// → `established`, `broken`
        case handshaking
        /// → `unwritable`, `broken`
        case established
        /// The peer takes nothing more; what it said before can be read. → `broken`
        case unwritable
        /// After a fatal error OpenSSL must not be asked to say goodbye (SSL_shutdown(3)).
        case broken
    }

    /// - Parameter ssl: taken over.
    init(_ ssl: OpaquePointer, on socket: StreamSocket, context: AnyObject) {
        self.ssl = ssl
        self.socket = socket
        self.context = context
        SSL_set_fd(ssl, socket.descriptor)
        others.initialize(to: gateway_record_count(records: 0, most: TLSSession.mostOtherRecords))
        gateway_ssl_count_records(ssl, others)
    }

    deinit {
        SSL_free(ssl)
        others.deallocate()
    }

    // MARK: Handshake

    /// Goes on with the handshake; to be called again at each edge until it is done or has failed.
    package func handshake() -> Handshake {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            // The server's word on what is spoken must be one that we have offered (RFC 7301 §3.1).
            guard SSL_is_server(ssl) == 1 || speaksHTTP else { return fail(.noSharedProtocol) }
            state = .established
            handshakeMemory = 0
            return .done
        }
        if isFlooded { return fail(.other) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            if SSL_is_server(ssl) == 1, hasLargeMessage { handshakeMemory = TLSSession.largeHandshake }
            return .wouldBlock
        case SSL_ERROR_SYSCALL: return fail(.closed)
        default:
            errorCode = ERR_peek_error()
            return fail(TLSFailure(code: errorCode, verification: SSL_get_verify_result(ssl)))
        }
    }

    /// The length of a hello or of certificates is known, and the rest is not here yet; or so much was read that room was
    /// made. Other messages of clients are small. OpenSSL keeps the room until the handshake is done.
    private var hasLargeMessage: Bool {
        switch SSL_get_state(ssl) {
        case TLS_ST_SR_CLNT_HELLO, TLS_ST_SR_CERT: true
        default: BIO_number_read(SSL_get_rbio(ssl)) > 16 << 10
        }
    }

    private func fail(_ failure: TLSFailure) -> Handshake {
        state = .broken
        self.failure = failure
        return .failed(failure)
    }

    /// Nothing was chosen, or HTTP/1.1.
    private var speaksHTTP: Bool {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        let chosen = UnsafeBufferPointer(start: name, count: Int(count))
        return chosen.isEmpty || String(decoding: chosen, as: UTF8.self) == "http/1.1"
    }

    /// What broke the session; nil while it is whole.
    package private(set) var failure: TLSFailure?

    /// The same in words for the log. Nothing of keys or contents is in them.
    package var problem: String {
        switch failure {
        case nil: ""
        case .certificateRefused?: certificateProblem(SSL_get_verify_result(ssl))
        case .closed?: "the connection was closed in the handshake"
        case .noSharedProtocol?: "the server speaks another protocol than HTTP/1.1 (ALPN)"
        case .notTLS?: "the answer is not TLS"
        case .alert?: "the server refused: \(errorText)"
        case .other? where isFlooded: "more than \(TLSSession.mostOtherRecords) records that are no data"
        default: errorText
        }
    }

    private var errorText: String {
        ERR_reason_error_string(errorCode).map { String(cString: $0) } ?? "unknown error"
    }

    /// `TLSv1.3`, for the log.
    package var version: String { String(cString: SSL_get_version(ssl)) }
    /// The name of the cipher suite, for the log.
    package var cipher: String { String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))) }
    package var isResumed: Bool { SSL_session_reused(ssl) == 1 }

    /// The name that the client asked for (SNI); nil when it named none.
    package var serverName: String? {
        SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
    }

    /// The peer's certificate, verified during the handshake; nil when it showed none.
    package var peerCertificate: TLSPeerCertificate? {
        guard let certificate = gateway_ssl_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        return TLSPeerCertificate(certificate)
    }

    // MARK: Bytes

    /// Looks first: clearing costs the same whether or not there is one, and a look a fifth of it.
    private func forgetErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        // Not an end: whether a message was whole must not be told from a session that broke.
        guard state != .broken else { return .failed(EPIPE) }
        forgetErrors()
        readNeedsWrite = false
        var count = 0
        let result = SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count)
        guard result != 1 else { return .bytes(count) }
        if isFlooded {
            state = .broken
            failure = .other
            return .failed(EPROTO)
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wouldBlock
        case SSL_ERROR_WANT_WRITE:
            readNeedsWrite = true
            return .wouldBlock
        // close_notify: the end that the peer meant. Anything else may be a cut by somebody in between (RFC 8446 §6.1).
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: return broken(.broken)
        }
    }

    func send(_ bytes: Span<UInt8>) -> Transfer {
        guard state == .established else { return .failed(EPIPE) }
        var sent = 0
        // One record at a time: only `wouldBlock` says that the socket is full.
        while sent < bytes.count {
            forgetErrors()
            writeNeedsRead = false
            var count = 0
            let result = bytes.extracting(sent..<bytes.count).withUnsafeBufferPointer {
                SSL_write_ex(ssl, $0.baseAddress, $0.count, &count)
            }
            if result == 1 {
                sent += count
                continue
            }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_WRITE: return sent > 0 ? .bytes(sent) : .wouldBlock
            case SSL_ERROR_WANT_READ:
                writeNeedsRead = true
                return sent > 0 ? .bytes(sent) : .wouldBlock
            case SSL_ERROR_SYSCALL: return broken(.unwritable)
            default: return broken(.broken)
            }
        }
        return .bytes(sent)
    }

    func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transfer {
        let transfer = send(first)
        guard case .bytes(let count) = transfer, count == first.count else { return transfer }
        switch send(second) {
        case .bytes(let more): return .bytes(count + more)
        case .wouldBlock: return .bytes(count)
        case let failure: return failure
        }
    }

    private func broken(_ next: State) -> Transfer {
        let number = errno
        state = next
        errorCode = ERR_peek_error()
        failure = errorCode == 0 ? .closed : TLSFailure(code: errorCode, verification: Int(X509_V_OK))
        return .failed(number == 0 ? EPROTO : number)
    }

    func crossReadiness(_ readiness: Readiness) -> Readiness {
        var result = readiness
        if readNeedsWrite, readiness.contains(.writable) { result.insert(.readable) }
        if writeNeedsRead, readiness.contains(.readable) { result.insert(.writable) }
        return result
    }

    // MARK: Ending

    /// close_notify, if the session got that far. What the socket does not take is left out: nobody waits for it.
    func sayGoodbye() {
        guard state == .established, SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN == 0 else { return }
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// The descriptor is about to be closed.
    func end() { state = .broken }
}

/// What is wrong with a server's certificate. The usual cases in our own words, the others in OpenSSL's.
private func certificateProblem(_ result: Int) -> String {
    switch Int32(result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: "the certificate has expired"
    case X509_V_ERR_CERT_NOT_YET_VALID: "the certificate is not valid yet"
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: "the certificate is for another name"
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        "the authority of the certificate is not known"
    default: String(cString: X509_verify_cert_error_string(result))
    }
}
