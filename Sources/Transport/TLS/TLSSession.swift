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

    package let socket: StreamSocket
    private let ssl: OpaquePointer
    /// The context lives as long as its sessions: OpenSSL counts it, this keeps what its callbacks refer to.
    private let context: AnyObject
    private var readNeedsWrite = false
    private var writeNeedsRead = false
    /// After a fatal error OpenSSL must not be asked to say goodbye (SSL_shutdown(3)).
    private var isBroken = false
    private var isEstablished = false

    /// - Parameter ssl: taken over.
    init(_ ssl: OpaquePointer, on socket: StreamSocket, context: AnyObject) {
        self.ssl = ssl
        self.socket = socket
        self.context = context
        SSL_set_fd(ssl, socket.descriptor)
    }

    deinit { SSL_free(ssl) }

    // MARK: Handshake

    /// Goes on with the handshake; to be called again at each edge until it is done or has failed.
    package func handshake() -> Handshake {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            isEstablished = true
            return .done
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
        case SSL_ERROR_SYSCALL:
            isBroken = true
            return .failed(.closed)
        default:
            isBroken = true
            return .failed(TLSFailure(code: ERR_peek_error(), verification: SSL_get_verify_result(ssl)))
        }
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

    /// For a client: the session to come back with, when the server allows it. The caller's to free.
    func takeSession() -> OpaquePointer? { SSL_get1_session(ssl) }

    // MARK: Bytes

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        guard !isBroken else { return .ended }
        ERR_clear_error()
        readNeedsWrite = false
        var count = 0
        let result = SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count)
        guard result != 1 else { return .bytes(count) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wouldBlock
        case SSL_ERROR_WANT_WRITE:
            readNeedsWrite = true
            return .wouldBlock
        // close_notify: the end that the peer meant. Anything else may be a cut by somebody in between (RFC 8446 §6.1).
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: return broken()
        }
    }

    func send(_ bytes: Span<UInt8>) -> Transfer {
        guard !isBroken else { return .failed(EPIPE) }
        var sent = 0
        // One record at a time: only `wouldBlock` says that the socket is full.
        while sent < bytes.count {
            ERR_clear_error()
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
            default: return broken()
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

    private func broken() -> Transfer {
        isBroken = true
        let number = errno
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
        guard isEstablished, !isBroken, SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN == 0 else { return }
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// The descriptor is about to be closed.
    func end() { isBroken = true }
}
