internal import CLibevent
internal import Glibc
internal import Synchronization

/// The result of one read or write on a non-blocking socket.
package enum Transfer: Equatable, Sendable {
    /// At least one byte.
    case bytes(Int)
    case wouldBlock
    /// Reading: the peer will send no more.
    case ended
    /// `errno`.
    case failed(Int32)
}

/// The calls on one connected stream socket. A descriptor without an owner: whoever holds the connection closes it.
package struct StreamSocket: Sendable {
    package let descriptor: Int32

    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// Reads once, at most `buffer.count` bytes; an empty buffer cannot be told from the end.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer { read(into: buffer, 0) }

    /// Looks at what `receive` would read, and leaves it there.
    package func peek(into buffer: UnsafeMutableRawBufferPointer) -> Transfer { read(into: buffer, Int32(MSG_PEEK)) }

    @inline(__always)
    private func read(into buffer: UnsafeMutableRawBufferPointer, _ flags: Int32) -> Transfer {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, flags)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno)
        }
    }

    /// The address and port of this end; nil for a Unix socket.
    package var localAddress: SocketAddress? {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return shim_getsockname(descriptor, &address, &length) == 0 ? SocketAddress(address) : nil
    }

    /// Writes once, without SIGPIPE; the count may be less than there is.
    package func send(_ bytes: Span<UInt8>) -> Transfer {
        bytes.withUnsafeBufferPointer { buffer in
            while true {
                let count = CLibevent.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
                if count >= 0 { return .bytes(count) }
                if errno == EINTR { continue }
                return errno == EAGAIN ? .wouldBlock : .failed(errno)
            }
        }
    }

    /// Sends all of it at once, or fails: for what a fresh connection begins with, which is less than its buffer takes.
    package func sendWhole(_ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return true }
        return send(bytes.span) == .bytes(bytes.count)
    }

    /// Both pieces in one call; the count is of their sum.
    package func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transfer {
        first.withUnsafeBufferPointer { a in
            second.withUnsafeBufferPointer { b in
                var pieces = (
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: a.baseAddress), iov_len: a.count),
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: b.baseAddress), iov_len: b.count)
                )
                return withUnsafeMutablePointer(to: &pieces) { pair in
                    pair.withMemoryRebound(to: iovec.self, capacity: 2) { vector in
                        var message = msghdr()
                        message.msg_iov = vector
                        message.msg_iovlen = 2
                        while true {
                            let count = sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                            if count >= 0 { return .bytes(count) }
                            if errno == EINTR { continue }
                            return errno == EAGAIN ? .wouldBlock : .failed(errno)
                        }
                    }
                }
            }
        }
    }

    /// Sends FIN and goes on receiving: the peer can still read the last answer.
    package func finishSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Makes `close` send RST: the peer sees that the message was cut off, not that it ended.
    package func resetOnClose() {
        var linger = CLibevent.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<CLibevent.linger>.size))
    }

    /// To be called once, and not before watchers of the descriptor are cancelled: its number is given out again.
    package func close() {
        CLibevent.close(descriptor)
    }

    /// 0 when a connection that was under way is established, else the `errno` it failed with.
    package var pendingError: Int32 {
        var value: Int32 = 0
        return shim_get_int_option(descriptor, SOL_SOCKET, SO_ERROR, &value) == 0 ? value : errno
    }

    /// Nothing has arrived: no byte, no end, no error. Takes nothing off the socket.
    package var isQuiet: Bool {
        var byte: UInt8 = 0
        return withUnsafeMutableBytes(of: &byte) { peek(into: $0) } == .wouldBlock
    }

    /// Bytes that were sent and that the peer has not acknowledged (SIOCOUTQ).
    package var unacknowledged: Int {
        var count: Int32 = 0
        return shim_unacknowledged(descriptor, &count) == 0 ? Int(count) : 0
    }

    /// Bytes are sent as they come: a proxy composes whole messages and must not wait for more.
    package func sendWithoutDelay() {
        _ = shim_set_int_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// Begins to connect; the socket becomes writable when that has succeeded or failed (`pendingError`).
    /// - Parameter waits: That the queue of a Unix socket is full is no failure. Nothing is under way then
    ///   (`isConnected`): the caller tries again.
    package static func connect(to address: SocketAddress, waits: Bool = false) -> Result<StreamSocket, SystemError> {
        let descriptor = shim_socket(address.family)
        guard descriptor >= 0 else { return .failure(SystemError("socket", errno)) }
        let socket = StreamSocket(descriptor: descriptor)
        let isUnix = address.family == AF_UNIX
        if !isUnix { socket.sendWithoutDelay() }
        if let failure = socket.connect(to: address), !(waits && isUnix && failure.isFullQueue) {
            socket.close()
            return .failure(failure)
        }
        return .success(socket)
    }

    /// As the function of the type, on a socket that is not connected. Nil: it is under way or done.
    package func connect(to address: SocketAddress) -> SystemError? {
        var storage = address.storage
        guard shim_connect(descriptor, &storage, address.length) != 0, errno != EINPROGRESS else { return nil }
        let number = errno
        // The same word is said of want of ports and of a host without an address to come from (no IPv6, most often), which
        // is for good.
        let isOutOfReach = number == EADDRNOTAVAIL && !StreamSocket.hasSource(for: address)
        return SystemError("connect", isOutOfReach ? ENETUNREACH : number)
    }

    /// Whether this host has an address to reach `address` from. Connecting a datagram socket asks for that alone: it sends
    /// nothing, and takes no port of TCP's.
    private static func hasSource(for address: SocketAddress) -> Bool {
        let descriptor = shim_datagram_socket(address.family)
        guard descriptor >= 0 else { return true }
        let probe = StreamSocket(descriptor: descriptor)
        defer { probe.close() }
        var storage = address.storage
        return shim_connect(descriptor, &storage, address.length) == 0 || errno != EADDRNOTAVAIL
    }

    /// Of a Unix socket: it has found a place in the queue of the other side. One of TCP may be on the way.
    package var isConnected: Bool {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return shim_getpeername(descriptor, &address, &length) == 0
    }
}

/// A listening socket. Owns its descriptor.
package final class ListeningSocket: Sendable {
    package let descriptor: Int32
    /// What it is bound to, with the port the system chose when 0 was asked for. Nil for a Unix socket of our own.
    package let address: SocketAddress?
    /// Connections that wait to be accepted.
    package static let backlog = 4_096
    private let heldElsewhere: Atomic<Bool>

    /// Owns the descriptor from now on.
    init(descriptor: Int32, address: SocketAddress?, isHeldElsewhere: Bool) {
        self.descriptor = descriptor
        self.address = address
        heldElsewhere = Atomic(isHeldElsewhere)
    }

    /// A Unix socket is its owner's alone (mode 600).
    /// - Parameter shared: with SO_REUSEPORT, so that every worker can have a socket of its own on one port.
    package init(bind wanted: SocketAddress, shared: Bool) throws(SystemError) {
        let descriptor = shim_socket(wanted.family)
        guard descriptor >= 0 else { throw SystemError("socket", errno) }
        func attempt(_ call: String, _ result: Int32) throws(SystemError) {
            guard result != 0 else { return }
            let failure = SystemError(call, errno)
            CLibevent.close(descriptor)
            throw failure
        }
        if wanted.family != AF_UNIX {
            try attempt("setsockopt", shim_set_int_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1))
        }
        if wanted.family == AF_UNIX {
            // Linux gives the file the mode of the socket, so there is no moment in which others could connect, and
            // no need for `umask`, which would change what other threads create meanwhile.
            try attempt("fchmod", fchmod(descriptor, 0o600))
        }
        if shared { try attempt("setsockopt", shim_set_int_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)) }
        if wanted.family == AF_INET6 {
            // One family per socket, so that 0.0.0.0 and [::] can both be listened on, and neither hides the other.
            try attempt("setsockopt", shim_set_int_option(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1))
        }
        var storage = wanted.storage
        try attempt("bind", shim_bind(descriptor, &storage, wanted.length))
        try attempt("listen", listen(descriptor, Int32(ListeningSocket.backlog)))
        var bound = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        try attempt("getsockname", shim_getsockname(descriptor, &bound, &length))
        self.descriptor = descriptor
        address = SocketAddress(bound)
        heldElsewhere = Atomic(false)
    }

    /// Another process accepts on it, too, or keeps it for the next one: ending it would end it for that process.
    package var isHeldElsewhere: Bool {
        get { heldElsewhere.load(ordering: .relaxed) }
        set { heldElsewhere.store(newValue, ordering: .relaxed) }
    }

    deinit { CLibevent.close(descriptor) }

    /// From now on the system begins no handshake on it; those under way are finished and can be accepted. Closing
    /// without this would reset whoever is between SYN and `accept`.
    package func refuseHandshakes() {
        _ = shim_refuse_handshakes(descriptor)
    }

    /// Accepts nobody any more, whoever still holds the socket: without this the system would go on to complete
    /// connections that no one takes.
    package func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// What became of one attempt to accept.
    package enum Accepted {
        /// The caller's to close. No address: the peer is on a Unix socket.
        case connection(StreamSocket, SocketAddress?)
        /// Nobody is waiting, or the connection failed before it was accepted.
        case none
        /// No descriptor or memory left: pause, then try again.
        case exhausted(Int32)
    }

    /// Takes one waiting connection, without blocking.
    package func accept() -> Accepted {
        while true {
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = shim_accept(self.descriptor, &peer, &length)
            if descriptor >= 0 { return .connection(StreamSocket(descriptor: descriptor), SocketAddress(peer)) }
            switch errno {
            case EINTR, ECONNABORTED, EPROTO: continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // Which the system says before it looks whether anybody waits (accept(2)).
                let number = errno
                return isAwaited ? .exhausted(number) : .none
            default: return .none
            }
        }
    }

    private var isAwaited: Bool {
        var query = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&query, 1, 0) > 0
    }
}

/// A system call that failed.
package struct SystemError: Error, CustomStringConvertible, Sendable {
    package let call: String
    package let number: Int32

    package init(_ call: String, _ number: Int32) {
        self.call = call
        self.number = number
    }

    package var description: String { "\(call): \(String(cString: strerror(number)))" }
    package var isAddressInUse: Bool { number == EADDRINUSE }
    /// Of connecting a Unix socket, which does not wait for a place in the queue as TCP does by itself (connect(2)).
    package var isFullQueue: Bool { number == EAGAIN }

    /// This machine lacks descriptors, memory or ports; nobody at the other end is to blame.
    package var isOwnShortage: Bool {
        switch number {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL: true
        default: call == "socket"
        }
    }
}
