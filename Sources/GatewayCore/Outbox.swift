internal import Glibc
internal import Transport

/// What a socket did not take yet. Empty nearly always: only a peer that reads more slowly than we write has one, and
/// while it has one nothing more is read from the other side, so it holds at most what one read brought.
struct Outbox {
    /// Of a large body, what was taken off the other side's socket inside the kernel. Goes before `bytes`.
    private var pipe: Pipe?
    private var bytes: [UInt8] = []
    private var start = 0
    private let account: BufferAccount
    /// The peer broke off or is out of reach, which is not closing. The system says so only once, so whoever reads then
    /// sees an end.
    private(set) var wasReset = false

    init(_ account: BufferAccount) { self.account = account }

    var isEmpty: Bool { start == bytes.count && pipe == nil }
    var count: Int { bytes.count - start + (pipe?.held ?? 0) }
    /// Bytes of memory; a pipe's are the kernel's.
    var held: Int { bytes.capacity }

    mutating func append(_ more: Span<UInt8>) {
        let before = bytes.capacity
        more.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        if bytes.capacity > before { account.take(bytes.capacity - before) }
    }

    /// Sends both pieces, or keeps what could not be sent. False: the connection is broken.
    mutating func send(_ first: Span<UInt8>, _ second: Span<UInt8>, to channel: Channel) -> Bool {
        guard isEmpty else {
            append(first)
            append(second)
            return true
        }
        let transfer = second.isEmpty ? channel.send(first) : channel.send(first, second)
        switch transfer {
        case .bytes(let sent):
            if sent < first.count {
                append(first.extracting(sent..<first.count))
                append(second)
            } else if sent < first.count + second.count {
                append(second.extracting(sent - first.count..<second.count))
            }
            return true
        case .wouldBlock:
            append(first)
            append(second)
            return true
        case .ended, .failed:
            return broken(by: transfer)
        }
    }

    private mutating func broken(by transfer: Transfer) -> Bool {
        // Of a peer that has closed before, it says EPIPE.
        if transfer != .failed(EPIPE) { wasReset = true }
        return false
    }

    /// Sends what is waiting. False: the connection is broken.
    mutating func flush(to channel: Channel) -> Bool {
        if let pipe {
            guard drain(pipe, to: channel.socket) else { return false }
            guard self.pipe == nil else { return true }
        }
        while !isEmpty {
            let transfer = channel.send(bytes.span.extracting(start..<bytes.count))
            switch transfer {
            case .bytes(let sent): start += sent
            case .wouldBlock: return true
            case .ended, .failed: return broken(by: transfer)
            }
        }
        removeAll()
        return true
    }

    // MARK: Splicing

    enum Splice: Equatable {
        /// So many bytes left the source; what the sink did not take is waiting.
        case moved(Int)
        /// None did, for a reason of the source: never `.bytes`.
        case source(Transfer)
        /// So many bytes left the source, and the sink is broken.
        case sinkLost(Int)
        /// These bytes must be copied.
        case impossible
    }

    /// Moves what has come from one bare socket to the other without copying it, at most `limit` bytes.
    mutating func splice(from source: Channel, to sink: Channel, limit: Int, pipes: PipePool) -> Splice {
        guard isEmpty, case .plain(let source) = source, case .plain(let sink) = sink, let pipe = pipes.lend()
        else { return .impossible }
        switch pipe.fill(from: source, limit: limit) {
        case .bytes(let count):
            self.pipe = pipe
            return drain(pipe, to: sink) ? .moved(count) : .sinkLost(count)
        case .failed(let code) where [EINVAL, ENOSYS, EPERM, EACCES].contains(code):
            pipes.giveUp()
            return .impossible
        case let transfer:
            pipe.giveBack()
            return .source(transfer)
        }
    }

    /// False: the connection is broken.
    private mutating func drain(_ pipe: Pipe, to sink: StreamSocket) -> Bool {
        while pipe.held > 0 {
            let transfer = pipe.drain(to: sink)
            switch transfer {
            case .bytes: continue
            case .wouldBlock: return true
            case .ended, .failed: return broken(by: transfer)
            }
        }
        self.pipe = nil
        pipe.giveBack()
        return true
    }

    // MARK: Taking back

    /// Everything that is waiting, which is then forgotten.
    mutating func takeAll() -> [UInt8] {
        assert(pipe == nil, "nothing is spliced before there is a connection")
        let waiting = Array(bytes[start...])
        removeAll()
        return waiting
    }

    /// Gives the memory back: an idle connection holds no buffer.
    mutating func removeAll() {
        if bytes.capacity > 0 { account.giveBack(bytes.capacity) }
        // One that still holds something is of no use to anybody: it is closed.
        pipe = nil
        bytes = []
        start = 0
    }
}
