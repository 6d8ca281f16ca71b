internal import CLibevent
internal import Glibc
package import Wire

/// Where a `ByteStream` connects to.
package enum StreamAddress: Hashable, Sendable {
    case tcp(IPAddress, port: UInt16)
    case unix(path: String)
}

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
    /// The peer closed its side.
    case ended
    case failed(errno: Int32)
    /// More was waiting to be sent than the limit allows: the peer does not read.
    case outputOverflow

    package var description: String {
        switch self {
        case .connectFailed(let code): "cannot connect: \(String(cString: strerror(code)))"
        case .connectTimedOut: "cannot connect: timed out"
        case .ended: "closed by the peer"
        case .failed(let code): "failed: \(String(cString: strerror(code)))"
        case .outputOverflow: "the peer does not read"
        }
    }
}

/// A client's connection for the control thread: connects without blocking, queues what cannot be sent at once, hands
/// over what arrives. For the path of a request it is too comfortable: it copies.
package final class ByteStream: ReadinessHandler {
    /// connecting → open → closed, or straight to closed; nothing leads back.
    private enum State { case connecting, open, closed }

    private let loop: EventLoop
    /// Nobody is told once it is gone; whoever owns the stream closes it.
    private weak var handler: (any ByteStreamHandler)?
    private let outputLimit: Int
    private var descriptor: Int32 = -1
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
    ///   - outputLimit: Bytes that may wait to be sent; more ends the stream.
    ///   - handler: Known weakly.
    package init(
        to address: StreamAddress, on loop: EventLoop, connectTimeout: Interval, outputLimit: Int = 64 << 20,
        handler: any ByteStreamHandler
    ) {
        self.loop = loop
        self.handler = handler
        self.outputLimit = outputLimit
        if let failure = connect(to: address) {
            // Told later, so that the handler has its stream before it hears of its end.
            loop.atEndOfTurn { [weak self] in self?.end(.connectFailed(errno: failure)) }
            return
        }
        watcher = Watcher(descriptor, on: loop, handler: self)
        timer = LoopTimer(on: loop) { [unowned self] in
            if state == .connecting { end(.connectTimedOut) }
        }
        timer?.fire(after: connectTimeout)
    }

    deinit {
        watcher = nil
        if descriptor >= 0 { CLibevent.close(descriptor) }
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
        if state == .connecting {
            guard !readiness.isDisjoint(with: [.writable, .closed, .readable]) else { return }
            var code: Int32 = 0
            guard shim_get_int_option(descriptor, SOL_SOCKET, SO_ERROR, &code) == 0, code == 0 else {
                end(.connectFailed(errno: code))
                return
            }
            guard readiness.contains(.writable) else { return }
            state = .open
            timer?.cancel()
            handler?.streamConnected(self)
            flush()
        } else if readiness.contains(.writable) {
            flush()
        }
        if state == .open, !readiness.isDisjoint(with: [.readable, .closed]) { read() }
    }

    package func resume() { read() }

    /// Reads until the socket is empty, for no more than a share of the turn.
    private func read() {
        for _ in 0..<ByteStream.readsPerTurn {
            guard state == .open else { return }
            let count = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ByteStream.chunk) { buffer in
                let count = CLibevent.read(descriptor, buffer.baseAddress!, ByteStream.chunk)
                if count > 0 {
                    let bytes = UnsafeBufferPointer(rebasing: buffer[..<count])
                    handler?.stream(self, received: bytes.span)
                }
                return count
            }
            if count == 0 { return end(.ended) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { end(.failed(errno: errno)) }
                return
            }
        }
        loop.stillReady(self)
    }

    private func flush() {
        guard state == .open else { return }
        while sent < output.count {
            let count = output.withUnsafeBytes {
                CLibevent.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { end(.failed(errno: errno)) }
                return
            }
            sent += count
        }
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
        if descriptor >= 0 { CLibevent.close(descriptor) }
        descriptor = -1
        output = []
    }

    /// `errno` when it failed at once.
    private func connect(to address: StreamAddress) -> Int32? {
        var storage = sockaddr_storage()
        let (family, length): (Int32, Int)
        switch address {
        case .tcp(let ip, let port):
            (family, length) = storage.fill(ip, port: port)
        case .unix(let path):
            guard let size = storage.fill(path: path) else { return ENAMETOOLONG }
            (family, length) = (AF_UNIX, size)
        }
        descriptor = shim_socket(family)
        guard descriptor >= 0 else { return errno }
        if family != AF_UNIX {
            _ = shim_set_int_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        let result = shim_connect(descriptor, &storage, socklen_t(length))
        return result == 0 || errno == EINPROGRESS ? nil : errno
    }
}

extension sockaddr_storage {
    /// The family and how many bytes count.
    fileprivate mutating func fill(_ ip: IPAddress, port: UInt16) -> (Int32, Int) {
        withUnsafeMutableBytes(of: &self) { bytes in
            if let v4 = ip.v4 {
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = port.bigEndian
                address.sin_addr.s_addr = v4.bigEndian
                bytes.storeBytes(of: address, as: sockaddr_in.self)
                return (AF_INET, MemoryLayout<sockaddr_in>.size)
            }
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: ip.high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            bytes.storeBytes(of: address, as: sockaddr_in6.self)
            return (AF_INET6, MemoryLayout<sockaddr_in6>.size)
        }
    }

    /// nil when the path is too long for a socket (107 bytes).
    fileprivate mutating func fill(path: String) -> Int? {
        let name = Array(path.utf8)
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        guard !name.isEmpty, start + name.count < MemoryLayout<sockaddr_un>.size else { return nil }
        ss_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &self) { bytes in
            for index in name.indices { bytes[start + index] = name[index] }
        }
        return start + name.count + 1
    }
}
