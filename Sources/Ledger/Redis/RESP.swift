internal import CHiredis

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
final class RESPReader {
    /// Owned; freed in `deinit`.
    private let reader: UnsafeMutablePointer<redisReader>

    init() { reader = redisReaderCreate()! }

    deinit { redisReaderFree(reader) }

    func feed(_ bytes: Span<UInt8>) throws(LedgerError) {
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
        guard let reply else { return nil }
        // The reader gives the reply away; it is freed here, after everything was copied out.
        defer { freeReplyObject(reply) }
        return RESPReader.value(of: reply.assumingMemoryBound(to: redisReply.self))
    }

    /// After this the reader is of no use any more.
    private var failure: LedgerError {
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
