internal import Telemetry
internal import Wire

/// A worker's records. A connection has one while a request of its is under way. Those that answered last keep theirs, so
/// that busy ones need not take a record for each request; all others that wait hold none of their own.
final class ExchangeRecordPool {
    /// What connections have that wait.
    let resting = ExchangeRecord(isResting: true)
    private var free: [ExchangeRecord] = []
    /// More than this many stay allocated only while they are used.
    private static let kept = 256
    /// Who answered last and may keep the record, and whose turn it is to give way.
    private var recent = [ClientConnection?](repeating: nil, count: 128)
    private var next = 0

    func take() -> ExchangeRecord { free.popLast() ?? ExchangeRecord() }

    /// A connection that has no place has answered, and waits for its next request.
    func waits(_ connection: ClientConnection) {
        assert(connection.recentPlace < 0)
        let longest = recent[next]
        recent[next] = connection
        connection.recentPlace = next
        next = (next + 1) % recent.count
        longest?.recentPlace = -1
        longest?.rest()
    }

    /// A connection rests, or is closed.
    func leaves(_ connection: ClientConnection) {
        guard connection.recentPlace >= 0 else { return }
        recent[connection.recentPlace] = nil
        connection.recentPlace = -1
    }

    /// Of a connection that was closed without a word the record may be in any state: it is not kept.
    func give(_ record: ExchangeRecord) {
        guard record.isSettled, !record.isResting, free.count < ExchangeRecordPool.kept else { return }
        record.rest()
        free.append(record)
    }
}

/// Memory of one exchange under way.
final class RecordBuffer {
    static let size = 16 * 1_024
    /// Owned; freed in `deinit`.
    private let memory: UnsafeMutablePointer<UInt8>

    init() { memory = .allocate(capacity: RecordBuffer.size) }

    deinit { memory.deallocate() }

    var pendingMemory: MutableSpan<UInt8> {
        @_lifetime(borrow self)
        get {
            let span = MutableSpan(_unsafeStart: memory, count: PendingAccess.memorySize)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    var pendingBytes: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let span = Span(_unsafeStart: memory, count: PendingAccess.memorySize)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The number of bytes kept: all or none.
    func keep(_ head: Span<UInt8>) -> Int {
        guard head.count <= RecordBuffer.size - PendingAccess.memorySize else { return 0 }
        head.withUnsafeBufferPointer { source in
            if let start = source.baseAddress {
                (memory + PendingAccess.memorySize).update(from: start, count: source.count)
            }
        }
        return head.count
    }

    @_lifetime(borrow self)
    func kept(_ count: Int) -> Span<UInt8> {
        let span = Span(_unsafeStart: memory + PendingAccess.memorySize, count: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}

/// A worker's record buffers. The one given back last is taken first: it is still in the processor's cache.
final class RecordBufferPool {
    /// The last of them, spared the accounting of the array: who answers one request after another needs no other.
    private var last: RecordBuffer?
    private var free: [RecordBuffer] = []
    /// More than this many stay allocated only while they are used.
    private static let kept = 256
    private let account: BufferAccount

    init(_ account: BufferAccount) { self.account = account }

    func take() -> RecordBuffer {
        if let buffer = last.take() ?? free.popLast() { return buffer }
        account.take(RecordBuffer.size)
        return RecordBuffer()
    }

    func give(_ buffer: consuming RecordBuffer) {
        guard let before = last else {
            last = buffer
            return
        }
        last = buffer
        giveBehind(before)
    }

    private func giveBehind(_ buffer: RecordBuffer) {
        if free.count < RecordBufferPool.kept { return free.append(buffer) }
        account.giveBack(RecordBuffer.size)
    }
}
