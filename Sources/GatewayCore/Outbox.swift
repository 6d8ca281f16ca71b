internal import Transport

/// What a socket did not take yet. Empty nearly always: only a peer that reads more slowly than we write has one, and
/// while it has one nothing more is read from the other side, so it holds at most what one read brought.
struct Outbox {
    private var bytes: [UInt8] = []
    private var start = 0
    private let account: BufferAccount

    init(_ account: BufferAccount) { self.account = account }

    var isEmpty: Bool { start == bytes.count }
    var count: Int { bytes.count - start }
    /// Bytes of memory.
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
            return false
        }
    }

    /// Sends what is waiting. False: the connection is broken.
    mutating func flush(to channel: Channel) -> Bool {
        while !isEmpty {
            switch channel.send(bytes.span.extracting(start..<bytes.count)) {
            case .bytes(let sent): start += sent
            case .wouldBlock: return true
            case .ended, .failed: return false
            }
        }
        removeAll()
        return true
    }

    /// Everything that is waiting, which is then forgotten.
    mutating func takeAll() -> [UInt8] {
        let waiting = Array(bytes[start...])
        removeAll()
        return waiting
    }

    /// Gives the memory back: an idle connection holds no buffer.
    mutating func removeAll() {
        if bytes.capacity > 0 { account.giveBack(bytes.capacity) }
        bytes = []
        start = 0
    }
}
