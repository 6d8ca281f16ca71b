internal import Glibc
package import Wire

/// Who hears of a stream. Calls come on the loop's thread, never from within `ByteStream.init`, `send` or `close`.
package protocol ByteStreamHandler: AnyObject {
    func streamConnected(_ stream: ByteStream)
    /// - Parameter bytes: Valid during the call.
    func stream(_ stream: ByteStream, received bytes: Span<UInt8>)
    /// The last call; the descriptor is closed at the end of the turn. Not called after `close()`.
    func stream(_ stream: ByteStream, ended reason: StreamEnd)
}

/// Why a stream ended.
package enum StreamEnd: Hashable, Sendable, CustomStringConvertible {
    case connectFailed(errno: Int32)
    case connectTimedOut
    /// In words for the log.
    case handshakeFailed(String)
    /// The peer closed its side.
    case ended
    case failed(errno: Int32)
    /// More was waiting to be sent than the limit allows: the peer does not read.
    case outputOverflow

    package var description: String {
        switch self {
        case .connectFailed(let code): "cannot connect: \(String(cString: strerror(code)))"
        case .connectTimedOut: "cannot connect: timed out"
        case .handshakeFailed(let problem): "no TLS: \(problem)"
        case .ended: "closed by the peer"
        case .failed(let code): "failed: \(String(cString: strerror(code)))"
        case .outputOverflow: "the peer does not read"
        }
    }

    /// `SystemError.isOwnShortage`, of connecting.
    package var isOwnShortage: Bool {
        guard case .connectFailed(let code) = self else { return false }
        return SystemError("connect", code).isOwnShortage
    }
}

/// What comes before the first byte of a stream's own.
package struct StreamOpening {
    /// Sent before everything else, TLS included: a PROXY header. No longer than what a fresh socket takes at once.
    package var preface: [UInt8] = []
    /// Nil: plain text.
    package var tls: TLSClient?

    package init(preface: [UInt8] = [], tls: TLSClient? = nil) {
        self.preface = preface
        self.tls = tls
    }
}

/// A client's connection for the control thread: connects without blocking, queues what cannot be sent at once, hands
/// over what arrives. For the path of a request it is too comfortable: it copies.
package final class ByteStream: ReadinessHandler {
    private enum State {
        /// → `handshaking`, `open`, `closed`
        case connecting
        /// TLS: until both sides know the keys. → `open`, `closed`
        case handshaking
        /// → `closed`
        case open
        case closed
    }

    private let loop: EventLoop
    /// Nobody is told once it is gone; whoever owns the stream closes it.
    private weak var handler: (any ByteStreamHandler)?
    private let outputLimit: Int
    /// Ours to close; nil before there is one and after the end.
    private var channel: Channel?
    private let preface: [UInt8]
    private var watcher: Watcher?
    private var timer: LoopTimer?
    private var state = State.connecting
    /// Bytes from `sent` on wait for the socket to become writable.
    private var output: [UInt8] = []
    private var sent = 0

    /// Bytes read in one go, and how many such reads one turn may take before others have theirs.
    private static let chunk = 64 << 10
    private static let readsPerTurn = 8

    /// Begins to connect.
    /// - Parameters:
    ///   - connectTimeout: Until `streamConnected`, the handshake of TLS included.
    ///   - outputLimit: Bytes that may wait to be sent; more ends the stream.
    ///   - handler: Known weakly.
    package init(
        to address: SocketAddress, on loop: EventLoop, opening: StreamOpening = StreamOpening(),
        connectTimeout: Interval, outputLimit: Int = 64 << 20, handler: any ByteStreamHandler
    ) {
        self.loop = loop
        self.handler = handler
        self.outputLimit = outputLimit
        preface = opening.preface
        if let failure = connect(to: address, opening.tls) {
            // Told later, so that the handler has its stream before it hears of its end.
            loop.atEndOfTurn { [weak self] in self?.end(.connectFailed(errno: failure)) }
            return
        }
        watcher = channel.map { Watcher($0.socket.descriptor, on: loop, handler: self) }
        timer = LoopTimer(on: loop) { [unowned self] in
            if state != .open { end(.connectTimedOut) }
        }
        timer?.fire(after: connectTimeout)
    }

    /// Over a socket that is connected already, and owned from now on; `streamConnected` is not called.
    package init(
        connected socket: StreamSocket, on loop: EventLoop, outputLimit: Int = 64 << 20, handler: any ByteStreamHandler
    ) {
        self.loop = loop
        self.handler = handler
        self.outputLimit = outputLimit
        preface = []
        channel = .plain(socket)
        state = .open
        watcher = Watcher(socket.descriptor, on: loop, handler: self)
    }

    deinit {
        watcher = nil
        channel?.close()
    }

    package var isOpen: Bool { state == .open }

    /// Sends or queues; before the connection stands everything is queued.
    package func send(_ bytes: [UInt8]) {
        guard state != .closed else { return }
        if output.count - sent + bytes.count > outputLimit {
            loop.atEndOfTurn { [weak self] in self?.end(.outputOverflow) }
            return
        }
        if sent == output.count {
            output.removeAll(keepingCapacity: output.capacity <= ByteStream.chunk)
            sent = 0
        } else if sent > output.count / 2 {
            output.removeFirst(sent)
            sent = 0
        }
        let isWaiting = !output.isEmpty
        output.append(contentsOf: bytes)
        // What one turn sends goes out with one call at its end.
        if !isWaiting, state == .open { loop.atEndOfTurn { [weak self] in self?.flush() } }
    }

    /// Ends it without a word to the handler; what waits to be sent is dropped.
    package func close() {
        guard state != .closed else { return }
        state = .closed
        timer?.cancel()
        handler = nil
        // The watcher may be the one that is calling right now.
        loop.atEndOfTurn { [self] in release() }
    }

    package func ready(_ readiness: Readiness) {
        guard let channel else { return }
        let readiness = channel.crossReadiness(readiness)
        var mayRead = !readiness.isDisjoint(with: [.readable, .closed])
        if state == .connecting {
            let code = channel.socket.pendingError
            guard code == 0 else { return end(.connectFailed(errno: code)) }
            guard readiness.contains(.writable) else { return }
            guard channel.socket.sendWhole(preface) else { return end(.connectFailed(errno: EPIPE)) }
            state = .handshaking
        }
        if state == .handshaking {
            guard shakeHands(channel) else { return }
            // Something may have come with the end of the handshake.
            mayRead = true
            flush()
        } else if readiness.contains(.writable) {
            flush()
        }
        if state == .open, mayRead { read() }
    }

    package func resume() { read() }

    /// True: the stream is open, and its handler knows.
    private func shakeHands(_ channel: Channel) -> Bool {
        if let session = channel.session {
            switch session.handshake() {
            case .wouldBlock: return false
            case .failed:
                end(.handshakeFailed(session.problem))
                return false
            case .done: break
            }
        }
        state = .open
        timer?.cancel()
        handler?.streamConnected(self)
        return state == .open
    }

    /// Reads until the socket is empty, for no more than a share of the turn.
    private func read() {
        for _ in 0..<ByteStream.readsPerTurn {
            guard state == .open, let channel else { return }
            let transfer = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ByteStream.chunk) { buffer in
                let transfer = channel.receive(into: UnsafeMutableRawBufferPointer(buffer))
                if case .bytes(let count) = transfer {
                    let bytes = UnsafeBufferPointer(rebasing: buffer[..<count])
                    handler?.stream(self, received: bytes.span)
                }
                return transfer
            }
            switch transfer {
            case .bytes: continue
            case .wouldBlock: return
            case .ended: return end(.ended)
            case .failed(let code): return end(failure(code))
            }
        }
        loop.stillReady(self)
    }

    private func flush() {
        guard state == .open, let channel else { return }
        let waiting = output
        while sent < waiting.count {
            switch channel.send(waiting.span.extracting(sent..<waiting.count)) {
            case .bytes(let count): sent += count
            case .wouldBlock: return
            case .ended: return end(.ended)
            case .failed(let code):
                // The peer hears nothing more; what it said before often tells why.
                read()
                return end(failure(code))
            }
        }
    }

    /// In TLS 1.3 a server looks at the client's certificate when the client is done with the handshake, so that its refusal
    /// comes now (RFC 8446 §4.4.2.4).
    private func failure(_ code: Int32) -> StreamEnd {
        guard let session = channel?.session, session.failure == .alert else { return .failed(errno: code) }
        return .handshakeFailed(session.problem)
    }

    private func end(_ reason: StreamEnd) {
        guard state != .closed else { return }
        let handler = handler
        close()
        handler?.stream(self, ended: reason)
    }

    private func release() {
        watcher = nil
        timer = nil
        channel?.close()
        channel = nil
        output = []
    }

    /// `errno` when it failed at once.
    private func connect(to address: SocketAddress, _ tls: TLSClient?) -> Int32? {
        // Of a path that is too long the kernel's form would hold the beginning, which is another socket's path.
        if case .unix(let path) = address, SocketAddress(unixPath: path) == nil { return ENAMETOOLONG }
        switch StreamSocket.connect(to: address) {
        case .success(let socket):
            guard let tls else {
                channel = .plain(socket)
                return nil
            }
            guard let session = tls.connect(on: socket) else {
                socket.close()
                return ENOMEM
            }
            channel = .tls(session)
            return nil
        case .failure(let error): return error.number
        }
    }
}
