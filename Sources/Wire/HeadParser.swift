/// Where a field stands in the bytes of its head.
public struct Field: Sendable {
    public let nameStart: UInt32
    public let nameLength: UInt16
    /// The name holds a sign other than `-`. CGI and its kin take such a name for another one.
    package let hasUnusualName: Bool
    /// Behind the colon and leading white space.
    public let valueStart: UInt32
    /// Without trailing white space.
    public let valueLength: UInt32
    /// Behind the CRLF that ends the line.
    public let end: UInt32

    @inlinable public var name: Range<Int> { Int(nameStart)..<Int(nameStart) + Int(nameLength) }
    @inlinable public var value: Range<Int> { Int(valueStart)..<Int(valueStart) + Int(valueLength) }
    /// The whole line with its CRLF.
    @inlinable public var line: Range<Int> { Int(nameStart)..<Int(end) }
}

/// The fields of one head, as places in its bytes. Made once per worker and filled again for every head.
public struct FieldTable: ~Copyable {
    /// Owned; freed in `deinit`.
    @usableFromInline let storage: UnsafeMutablePointer<Field>
    public let capacity: Int
    public private(set) var count = 0
    /// White space stands between the name and the colon of a field. Only responses get so far with it.
    package fileprivate(set) var hasSpaceBeforeColon = false

    package init(capacity: Int) {
        self.capacity = capacity
        storage = .allocate(capacity: capacity)
    }

    deinit { storage.deallocate() }

    public subscript(index: Int) -> Field {
        @inlinable @inline(__always) get {
            precondition(index >= 0 && index < count, "no such field")
            return storage[index]
        }
    }

    mutating func removeAll() {
        count = 0
        hasSpaceBeforeColon = false
    }

    /// False when the table is full.
    mutating func append(_ field: Field) -> Bool {
        guard count < capacity else { return false }
        storage[count] = field
        count += 1
        return true
    }
}

/// What is wrong with a head. Each case is one rule; none of them is ever mended.
package enum HeadFault: String, Error, Sendable {
    case tooLong = "the head is longer than allowed"
    case targetTooLong = "the request target is longer than allowed"
    case tooManyFields = "the head has more fields than allowed"
    case startLine = "the start line is malformed"
    case method = "the method is longer than any"
    case version = "the HTTP version is not supported"
    case lineEnding = "a line does not end in CRLF"
    case controlByte = "a control byte stands in the head"
    case fieldName = "a field name is malformed"
    case whitespaceBeforeColon = "white space stands before a colon"
    case lineFolding = "a field is folded over two lines"
    case fieldWithoutColon = "a field line has no colon"
}

/// The start line of a request: places in the head's bytes.
package struct RequestLine: Sendable {
    package let method: Range<Int>
    package let target: Range<Int>
    /// 0 to 9, of HTTP/1.x. Above 1 it is read as 1, the highest minor version we know (RFC 9110 §6.2).
    package let minorVersion: UInt8
    /// Behind the CRLF of the start line: where the first field begins.
    package let end: Int

    package init(method: Range<Int>, target: Range<Int>, minorVersion: UInt8, end: Int) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
        self.end = end
    }
}

/// The start line of a response.
package struct StatusLine: Sendable {
    package let status: Int
    package let minorVersion: UInt8
    package let end: Int
}

/// Parses the heads of HTTP/1.1 messages (RFC 9112 §2–§5), strictly: a line ends in CRLF and nothing else, one space
/// stands between the parts of the start line, a field name is a token with the colon right behind it, and nothing is
/// folded. What two readers could understand in two ways is a fault.
package enum HeadParser {
    /// What the bytes so far are.
    package enum Outcome<StartLine> {
        /// The start line, and the length of the head with the empty line that ends it.
        case complete(StartLine, length: Int)
        /// Nothing is wrong so far.
        case incomplete
        case malformed(HeadFault)
    }

    /// What is longer is a fault, as soon as it is seen.
    package struct Limits: Sendable {
        /// Start line, fields and empty line together.
        package var headBytes: Int
        package var targetBytes: Int

        package init(headBytes: Int, targetBytes: Int) {
            self.headBytes = headBytes
            self.targetBytes = targetBytes
        }
    }

    /// Empty lines that may stand before a request line (RFC 9112 §2.2: at least one should be ignored).
    private static let emptyLinesAllowed = 2

    /// Nothing but such lines so far, or the beginning of one.
    package static func areEmptyLines(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count <= 2 * emptyLinesAllowed else { return false }
        for index in bytes.indices where bytes[index] != (index & 1 == 0 ? 13 : 10) { return false }
        return true
    }

    /// Reads the head that `bytes` begin with. `fields` are filled anew; of a head that is incomplete they hold the lines
    /// that are there.
    package static func parseRequest(
        _ bytes: Span<UInt8>, into fields: inout FieldTable, limits: Limits
    ) -> Outcome<RequestLine> {
        fields.removeAll()
        switch requestLine(bytes, limits: limits) {
        case .complete(let line, let length):
            return parseFields(bytes, from: length, startLine: line, into: &fields, limits: limits)
        case .incomplete: return .incomplete
        case .malformed(let fault): return .malformed(fault)
        }
    }

    /// The request line alone; the length counts empty lines before it and its CRLF.
    package static func requestLine(_ bytes: Span<UInt8>, limits: Limits) -> Outcome<RequestLine> {
        var position = 0
        while position < bytes.count, bytes[position] == 13 || bytes[position] == 10 {
            guard bytes[position] == 13, position < 2 * emptyLinesAllowed else { return .malformed(.startLine) }
            guard position + 1 < bytes.count else { return .incomplete }
            guard bytes[position + 1] == 10 else { return .malformed(.lineEnding) }
            position += 2
        }
        let methodStart = position
        while position < bytes.count, Characters.token.contains(bytes[position]) { position += 1 }
        guard position < bytes.count else {
            return position - methodStart > 64 ? .malformed(.method) : unfinished(bytes, limits)
        }
        guard position > methodStart, position - methodStart <= 64, bytes[position] == 0x20 else {
            return .malformed(position > methodStart && bytes[position] == 0x20 ? .method : .startLine)
        }
        let method = methodStart..<position
        position += 1
        let targetStart = position
        // Visible ASCII without `#`, which begins a fragment and is in no form of a target (RFC 9112 §3.2). Which other
        // bytes a target may hold is the business of RequestTarget.
        position = endOfRun(bytes, from: position, marks: Words.untargetedMarks) {
            $0 &- 0x21 < 0x5e && $0 != UInt8(ascii: "#")
        }
        let target = targetStart..<position
        if target.count > limits.targetBytes { return .malformed(.targetTooLong) }
        guard position < bytes.count else { return unfinished(bytes, limits) }
        guard !target.isEmpty, bytes[position] == 0x20 else { return .malformed(.startLine) }
        position += 1
        switch version(bytes, &position) {
        case .incomplete: return unfinished(bytes, limits)
        case .malformed(let fault): return .malformed(fault)
        case .complete(let minor, _):
            guard position + 1 < bytes.count else {
                return position < bytes.count && bytes[position] != 13
                    ? .malformed(.startLine) : unfinished(bytes, limits)
            }
            guard bytes[position] == 13, bytes[position + 1] == 10 else { return .malformed(.startLine) }
            position += 2
            let line = RequestLine(method: method, target: target, minorVersion: minor, end: position)
            return .complete(line, length: position)
        }
    }

    /// As `parseRequest`, for a status line of 100 to 599, and with white space before colons, which who passes a response
    /// on must take out and need not refuse (RFC 9112 §5.1).
    package static func parseResponse(
        _ bytes: Span<UInt8>, into fields: inout FieldTable, limits: Limits
    ) -> Outcome<StatusLine> {
        var position = 0
        switch version(bytes, &position) {
        case .incomplete: return unfinished(bytes, limits)
        case .malformed(let fault): return .malformed(fault)
        case .complete(let minor, _):
            // SP 3DIGIT SP [reason]; the second space is missing in the answers of some servers, and harmless.
            guard position + 5 < bytes.count else { return unfinished(bytes, limits) }
            guard let status = status(bytes, at: position) else { return .malformed(.startLine) }
            position += 4
            guard bytes[position] == 0x20 || bytes[position] == 13 else { return .malformed(.startLine) }
            while position < bytes.count, Characters.isFieldValue(bytes[position]) { position += 1 }
            guard position + 1 < bytes.count else { return unfinished(bytes, limits) }
            guard bytes[position] == 13, bytes[position + 1] == 10 else { return .malformed(.lineEnding) }
            position += 2
            let line = StatusLine(status: status, minorVersion: minor, end: position)
            return parseFields(bytes, from: position, startLine: line, isResponse: true, into: &fields, limits: limits)
        }
    }

    /// The status that a head begins with, 100 to 599, whatever is wrong with the rest of it.
    package static func status(of head: Span<UInt8>) -> Int? {
        var position = 0
        guard case .complete = version(head, &position), position + 3 < head.count else { return nil }
        return status(head, at: position)
    }

    /// SP and three digits at `position`; at least as many bytes must be there.
    private static func status(_ bytes: Span<UInt8>, at position: Int) -> Int? {
        guard bytes[position] == 0x20 else { return nil }
        var status = 0
        for index in position + 1...position + 3 {
            guard Characters.isDigit(bytes[index]) else { return nil }
            status = status * 10 + Int(bytes[index] - 48)
        }
        return (100...599).contains(status) ? status : nil
    }

    /// Whether the beginning of a head is worth parsing again since more of it came: a line is complete, it has grown by a
    /// 64th, or it is as long as heads may be. Parsed at every byte, a head that comes in single bytes would cost the square
    /// of its length.
    /// - Parameters:
    ///   - new: where the bytes that came begin.
    ///   - parsed: how many there were when it was parsed last.
    package static func isWorthParsing(
        _ bytes: Span<UInt8>, from new: Int, parsed: Int, limits: Limits
    ) -> Bool {
        if (bytes.count - parsed) * 64 >= parsed || bytes.count >= limits.headBytes { return true }
        for index in new..<bytes.count where bytes[index] == 10 { return true }
        return false
    }

    /// `HTTP/1.x` at `position`, which is moved behind it. A minor version that we do not know changes nothing that is
    /// framed or routed (RFC 9110 §6.2); a major one may change everything.
    private static func version(_ bytes: Span<UInt8>, _ position: inout Int) -> Outcome<UInt8> {
        if position + 8 <= bytes.count {
            // `HTTP/1.` and a digit, as nearly always.
            let word = bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
            let minor = UInt8(truncatingIfNeeded: word >> 56)
            if word << 8 == 0x2e31_2f50_5454_4800, Characters.isDigit(minor) {
                position += 8
                return .complete(minor - 48, length: 8)
            }
        }
        let expected: StaticString = "HTTP/"
        for index in 0..<5 {
            guard position + index < bytes.count else { return .incomplete }
            guard bytes[position + index] == expected.utf8Start[index] else { return .malformed(.startLine) }
        }
        guard position + 7 < bytes.count else { return .incomplete }
        let major = bytes[position + 5]
        let minor = bytes[position + 7]
        guard Characters.isDigit(major), bytes[position + 6] == UInt8(ascii: "."), Characters.isDigit(minor) else {
            return .malformed(.startLine)
        }
        guard major == 49 else { return .malformed(.version) }
        position += 8
        return .complete(minor - 48, length: 8)
    }

    /// Incomplete, as long as there is room for the rest.
    private static func unfinished<Line>(_ bytes: Span<UInt8>, _ limits: Limits) -> Outcome<Line> {
        bytes.count >= limits.headBytes ? .malformed(.tooLong) : .incomplete
    }

    private static func parseFields<Line>(
        _ bytes: Span<UInt8>, from start: Int, startLine: Line, isResponse: Bool = false,
        into fields: inout FieldTable, limits: Limits
    ) -> Outcome<Line> {
        fields.removeAll()
        var position = start
        while true {
            guard position < bytes.count else { return unfinished(bytes, limits) }
            let first = bytes[position]
            if first == 13 {
                guard position + 1 < bytes.count else { return unfinished(bytes, limits) }
                guard bytes[position + 1] == 10 else { return .malformed(.lineEnding) }
                let length = position + 2
                return length > limits.headBytes ? .malformed(.tooLong) : .complete(startLine, length: length)
            }
            if Characters.isWhitespace(first) { return .malformed(.lineFolding) }
            switch FieldLine.parse(bytes, at: position, spaceBeforeColon: isResponse) {
            case .complete(let field, _):
                if isResponse, bytes[field.name.upperBound] != UInt8(ascii: ":") { fields.hasSpaceBeforeColon = true }
                guard fields.append(field) else { return .malformed(.tooManyFields) }
                position = Int(field.end)
                if position > limits.headBytes { return .malformed(.tooLong) }
            case .incomplete: return unfinished(bytes, limits)
            case .malformed(let fault): return .malformed(fault)
            }
        }
    }
}

/// One field line of a head. Trailers are read by `ChunkDecoder`, which keeps none of them.
package enum FieldLine {
    /// Reads the line at `start`; the length counts its CRLF.
    /// - Parameter spaceBeforeColon: white space may stand there; it is no part of the name.
    package static func parse(
        _ bytes: Span<UInt8>, at start: Int, spaceBeforeColon: Bool = false
    ) -> HeadParser.Outcome<Field> {
        var hasUnusualName = false
        var position = endOfRun(bytes, from: start, marks: Words.unusualNameMarks) { byte in
            guard Characters.token.contains(byte) else { return false }
            if !Characters.usualInNames.contains(byte) { hasUnusualName = true }
            return true
        }
        guard position < bytes.count else { return .incomplete }
        let name = start..<position
        if spaceBeforeColon, !name.isEmpty {
            while position < bytes.count, Characters.isWhitespace(bytes[position]) { position += 1 }
            guard position < bytes.count else { return .incomplete }
        }
        guard bytes[position] == UInt8(ascii: ":") else {
            switch bytes[position] {
            case 0x20, 0x09: return .malformed(.whitespaceBeforeColon)
            case 13, 10: return .malformed(.fieldWithoutColon)
            default: return .malformed(.fieldName)
            }
        }
        guard !name.isEmpty, name.count <= Int(UInt16.max) else { return .malformed(.fieldName) }
        position += 1
        while position < bytes.count, Characters.isWhitespace(bytes[position]) { position += 1 }
        let valueStart = position
        position = endOfValue(bytes, from: position)
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == 13 else {
            return .malformed(bytes[position] == 10 ? .lineEnding : .controlByte)
        }
        guard position + 1 < bytes.count else { return .incomplete }
        guard bytes[position + 1] == 10 else { return .malformed(.lineEnding) }
        var valueEnd = position
        while valueEnd > valueStart, Characters.isWhitespace(bytes[valueEnd - 1]) { valueEnd -= 1 }
        let field = Field(
            nameStart: UInt32(name.lowerBound), nameLength: UInt16(name.count), hasUnusualName: hasUnusualName,
            valueStart: UInt32(valueStart), valueLength: UInt32(valueEnd - valueStart), end: UInt32(position + 2))
        return .complete(field, length: position + 2 - start)
    }

    /// The first byte from `start` on that no field value may hold.
    @inline(__always)
    private static func endOfValue(_ bytes: Span<UInt8>, from start: Int) -> Int {
        endOfRun(bytes, from: start, marks: Words.controlMarks) { Characters.isFieldValue($0) }
    }
}

/// The first byte from `start` on that `holds` is false of. Words first: `marks` marks the bytes of one that are not of
/// the usual kind; a marked one may be an unusual byte that `holds` is true of as well.
@inline(__always)
private func endOfRun(
    _ bytes: Span<UInt8>, from start: Int, marks: (UInt64) -> UInt64, _ holds: (UInt8) -> Bool
) -> Int {
    var position = start
    let raw = bytes.bytes
    let lastWord = bytes.count - 8
    while position <= lastWord {
        let marks = marks(raw.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
        if marks == 0 {
            position += 8
            continue
        }
        position += Words.unmarkedPrefix(marks)
        guard holds(bytes[position]) else { return position }
        position += 1
    }
    while position < bytes.count, holds(bytes[position]) { position += 1 }
    return position
}
