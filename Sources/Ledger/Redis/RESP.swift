internal import CHiredis
internal import Glibc

/// One reply of Redis (RESP2).
indirect enum RESPValue: Hashable, Sendable {
    case status(String)
    /// With its code as the first word: `WRONGTYPE Operation against…`.
    case error(String)
    case integer(Int64)
    case bytes([UInt8])
    case null
    case array([RESPValue])

    var integer: Int64? {
        if case .integer(let value) = self { return value }
        return nil
    }

    /// A bulk or status reply as text.
    var text: String? {
        switch self {
        case .status(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// A bulk reply as it is.
    var data: [UInt8]? {
        if case .bytes(let bytes) = self { return bytes }
        return nil
    }

    var array: [RESPValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    var error: String? {
        if case .error(let text) = self { return text }
        return nil
    }
}

/// Turns the bytes of a connection into replies. hiredis' reader with its own reply objects; it bounds nesting itself.
///
/// Whoever answers may be no Redis, or sit in between: what he can make of memory and time with one reply is bounded.
final class RESPReader {
    /// Owned; freed in `deinit`.
    private let reader: UnsafeMutablePointer<redisReader>
    /// Owned; freed in `deinit`, behind the reader, which points to them.
    private let limits: UnsafeMutablePointer<gateway_reader_limits>
    private let largest: Int
    private let mostElements: Int
    /// Bytes since the last whole reply.
    private var unfinished = 0

    /// The largest honest ones tell of all keys that one script changed.
    static let mostElements = 1 << 22
    static let largestReply = 64 << 20
    /// An honest one has a number or an error in it. It is looked through anew whenever bytes come, until it is whole.
    private static let longestLine = 64 << 10

    /// - Parameters:
    ///   - largest: Bytes of one reply; more is an error.
    ///   - mostElements: Of all its arrays together.
    init(largest: Int = RESPReader.largestReply, mostElements: Int = RESPReader.mostElements) {
        self.largest = largest
        self.mostElements = mostElements
        reader = redisReaderCreate()!
        limits = .allocate(capacity: 1)
        limits.initialize(to: gateway_reader_limits())
        gateway_limit_reader(reader, limits)
        limits.pointee.left = mostElements
    }

    deinit {
        redisReaderFree(reader)
        limits.deallocate()
    }

    func feed(_ bytes: Span<UInt8>) throws(LedgerError) {
        unfinished += bytes.count
        let result = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress!.withMemoryRebound(to: CChar.self, capacity: buffer.count) {
                redisReaderFeed(reader, $0, buffer.count)
            }
        }
        guard result == REDIS_OK else { throw failure }
    }

    /// The next whole reply; nil when more bytes are needed.
    func next() throws(LedgerError) -> RESPValue? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw failure }
        guard let reply else {
            try checkUnfinished()
            return nil
        }
        limits.pointee.left = mostElements
        unfinished = bytesAhead
        // The reader gives the reply away; it is freed here, after everything was copied out.
        defer { freeReplyObject(reply) }
        return RESPReader.value(of: reply.assumingMemoryBound(to: redisReply.self))
    }

    /// What has come and is not taken in yet.
    private var bytesAhead: Int { reader.pointee.len - reader.pointee.pos }

    private func checkUnfinished() throws(LedgerError) {
        guard unfinished <= largest else { throw LedgerError("a reply of more than \(largest) bytes") }
        // In front of a long value stands its length, and that is a line.
        guard bytesAhead > RESPReader.longestLine,
            memchr(reader.pointee.buf + reader.pointee.pos, 10, RESPReader.longestLine) == nil
        else { return }
        throw LedgerError("a line of a reply that does not end")
    }

    /// After this the reader is of no use any more.
    private var failure: LedgerError {
        if limits.pointee.left < 0 { return LedgerError("a reply of more than \(mostElements) elements") }
        let text = withUnsafeBytes(of: reader.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return LedgerError("unreadable reply: \(text)")
    }

    private static func value(of reply: UnsafePointer<redisReply>) -> RESPValue {
        var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: reply.pointee.str, count: Int(reply.pointee.len))) }
        switch reply.pointee.type {
        case REDIS_REPLY_STATUS: return .status(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: bytes.prefix(1_024), as: UTF8.self))
        case REDIS_REPLY_INTEGER: return .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING: return .bytes(bytes)
        case REDIS_REPLY_ARRAY:
            return .array((0..<Int(reply.pointee.elements)).map { value(of: reply.pointee.element[$0]!) })
        default: return .null
        }
    }
}

enum RESPCommand {
    /// A command as an array of bulk strings, so that no argument can be taken for another.
    static func encode(_ arguments: [String]) -> [UInt8] {
        let bytes = arguments.map { Array($0.utf8) }
        var pointers: [UnsafePointer<CChar>?] = []
        var lengths: [Int] = []
        // One block that does not move while hiredis reads from it.
        let all = Array(bytes.joined()) + [0]
        return all.withUnsafeBufferPointer { buffer in
            buffer.baseAddress!.withMemoryRebound(to: CChar.self, capacity: buffer.count) { base in
                var offset = 0
                for argument in bytes {
                    pointers.append(base + offset)
                    lengths.append(argument.count)
                    offset += argument.count
                }
                var target: UnsafeMutablePointer<CChar>?
                let length = redisFormatCommandArgv(&target, Int32(arguments.count), &pointers, &lengths)
                precondition(length >= 0, "no memory for a command")
                // hiredis gives the buffer away.
                defer { redisFreeCommand(target) }
                return Array(UnsafeRawBufferPointer(start: target, count: Int(length)))
            }
        }
    }
}
