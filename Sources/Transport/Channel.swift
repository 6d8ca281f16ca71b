/// The way to one peer: a bare socket, or a TLS session on one. Whoever holds the connection reads and writes through it
/// and does not care which it is, but for two things that TLS does not let anyone ignore (`mayHoldMore`, `crossReadiness`).
package enum Channel {
    case plain(StreamSocket)
    case tls(TLSSession)

    package var socket: StreamSocket {
        switch self {
        case .plain(let socket): socket
        case .tls(let session): session.socket
        }
    }

    package var session: TLSSession? {
        if case .tls(let session) = self { return session }
        return nil
    }

    /// Reads once, at most `buffer.count` bytes, which must not be 0.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        switch self {
        case .plain(let socket): socket.receive(into: buffer)
        case .tls(let session): session.receive(into: buffer)
        }
    }

    /// Writes once; the count may be less than there is.
    package func send(_ bytes: Span<UInt8>) -> Transfer {
        switch self {
        case .plain(let socket): socket.send(bytes)
        case .tls(let session): session.send(bytes)
        }
    }

    /// Both pieces; the count is of their sum.
    package func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transfer {
        switch self {
        case .plain(let socket): socket.send(first, second)
        case .tls(let session): session.send(first, second)
        }
    }

    /// A read that did not fill its buffer emptied a socket, but not a session: OpenSSL may have more records, so one
    /// reads on until `wouldBlock`.
    package var mayHoldMore: Bool {
        switch self {
        case .plain: false
        case .tls: true
        }
    }

    /// TLS may have to write before it can read, and the other way round: an edge of one kind is then the chance of the
    /// other.
    package func crossReadiness(_ readiness: Readiness) -> Readiness {
        switch self {
        case .plain: readiness
        case .tls(let session): session.crossReadiness(readiness)
        }
    }

    /// TLS: close_notify, so that the peer can tell the end that is about to come from a cut (RFC 8446 §6.1).
    package func sayGoodbye() {
        if case .tls(let session) = self { session.sayGoodbye() }
    }

    /// Says that nothing more is sent and goes on receiving.
    package func finishSending() {
        sayGoodbye()
        socket.finishSending()
    }

    /// Makes `close` send RST, and `sayGoodbye` nothing: the peer must see that the message was cut off, and one that
    /// reads close_notify before the RST takes what it has for whole (RFC 8446 §6.1). Of TLS nothing passes any more.
    package func resetOnClose() {
        if case .tls(let session) = self { session.end() }
        socket.resetOnClose()
    }

    /// To be called once, and not before watchers of the descriptor are cancelled.
    package func close() {
        if case .tls(let session) = self { session.end() }
        socket.close()
    }
}
