internal import Glibc
internal import Wire

/// Writes one line of text or JSON into memory that its caller owns. Nothing is allocated. What does not fit marks the
/// line as overflowed and stops all further writing, so that half a value can never be taken for a whole one.
///
/// Every string that came from outside goes through `escaped`: no byte of a client can end the JSON string it stands in,
/// begin a new line, or steer the terminal of whoever reads the log (CWE-117, CWE-150).
struct LineWriter: ~Copyable, ~Escapable {
    private var memory: MutableRawSpan
    /// Bytes written.
    private(set) var count = 0
    private(set) var overflowed = false

    @_lifetime(copy memory)
    init(_ memory: consuming MutableRawSpan) { self.memory = memory }

    private var room: Int { overflowed ? 0 : memory.byteCount - count }

    @_lifetime(self: copy self)
    private mutating func reserve(_ bytes: Int) -> Bool {
        if room >= bytes { return true }
        overflowed = true
        return false
    }

    @_lifetime(self: copy self)
    mutating func byte(_ value: UInt8) {
        guard reserve(1) else { return }
        memory.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Text that is JSON already.
    @_lifetime(self: copy self)
    mutating func raw(_ text: StaticString) {
        copy(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Bytes that are JSON already.
    @_lifetime(self: copy self)
    mutating func raw(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { copy($0) }
    }

    @_lifetime(self: copy self)
    private mutating func copy(_ source: UnsafeRawBufferPointer) {
        guard let from = source.baseAddress, source.count > 0, reserve(source.count) else { return }
        let at = count
        memory.withUnsafeMutableBytes { _ = memcpy($0.baseAddress! + at, from, source.count) }
        count += source.count
    }

    @_lifetime(self: copy self)
    mutating func number(_ value: Int) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        digits(value.magnitude, atLeast: 1)
    }

    /// Decimal digits, with leading zeros up to `width`.
    @_lifetime(self: copy self)
    mutating func digits(_ value: UInt, atLeast width: Int) {
        var length = 1
        var rest = value / 10
        while rest > 0 {
            length += 1
            rest /= 10
        }
        length = max(length, width)
        guard reserve(length) else { return }
        rest = value
        var at = count + length
        for _ in 0..<length {
            at -= 1
            memory.storeBytes(of: UInt8(48 + rest % 10), toByteOffset: at, as: UInt8.self)
            rest /= 10
        }
        count += length
    }

    /// Milliseconds with three decimals, so that microseconds are kept. A negative length is written as 0.
    @_lifetime(self: copy self)
    mutating func milliseconds(_ interval: Interval) {
        let microseconds = UInt(max(0, interval.nanoseconds)) / 1_000
        digits(microseconds / 1_000, atLeast: 1)
        byte(UInt8(ascii: "."))
        digits(microseconds % 1_000, atLeast: 3)
    }

    /// RFC 3339 in UTC up to the dot before the milliseconds.
    @_lifetime(self: copy self)
    mutating func wholeSecond(of time: WallTime) {
        let at = time.civil
        digits(UInt(max(0, at.year)), atLeast: 4)
        byte(UInt8(ascii: "-"))
        digits(UInt(at.month), atLeast: 2)
        byte(UInt8(ascii: "-"))
        digits(UInt(at.day), atLeast: 2)
        byte(UInt8(ascii: "T"))
        digits(UInt(at.hour), atLeast: 2)
        byte(UInt8(ascii: ":"))
        digits(UInt(at.minute), atLeast: 2)
        byte(UInt8(ascii: ":"))
        digits(UInt(at.second), atLeast: 2)
        byte(UInt8(ascii: "."))
    }

    /// RFC 3339 in UTC with milliseconds, without quotes.
    @_lifetime(self: copy self)
    mutating func timestamp(_ time: WallTime) {
        wholeSecond(of: time)
        digits(UInt(time.milliseconds - time.seconds * 1_000), atLeast: 3)
        byte(UInt8(ascii: "Z"))
    }

    /// Dotted decimal, or RFC 5952 text for IPv6, without quotes.
    @_lifetime(self: copy self)
    mutating func address(_ address: IPAddress) {
        if let v4 = address.v4 {
            for index in 0..<4 {
                if index > 0 { byte(UInt8(ascii: ".")) }
                digits(UInt(v4 >> UInt32(24 - 8 * index) & 255), atLeast: 1)
            }
            return
        }
        let zeros = AddressGroups(address).longestZeroRun
        var index = 0
        while index < 8 {
            if zeros.length >= 2, index == zeros.start {
                raw("::")
                index += zeros.length
                continue
            }
            if index > 0, index != zeros.start + zeros.length || zeros.length < 2 { byte(UInt8(ascii: ":")) }
            hexadecimal(AddressGroups(address)[index])
            index += 1
        }
    }

    /// Lower case, without leading zeros.
    @_lifetime(self: copy self)
    private mutating func hexadecimal(_ value: UInt16) {
        var shift = 12
        while shift > 0, value >> UInt16(shift) == 0 { shift -= 4 }
        while shift >= 0 {
            byte(hexDigits[Int(value >> UInt16(shift) & 15)])
            shift -= 4
        }
    }

    /// A quoted JSON string of at most `limit` bytes between the quotes; what is longer is cut before a whole character
    /// and ends in `…`.
    @_lifetime(self: copy self)
    mutating func string(_ text: Span<UInt8>, limit: Int) {
        byte(UInt8(ascii: "\""))
        escaped(text, limit: limit)
        byte(UInt8(ascii: "\""))
    }

    @_lifetime(self: copy self)
    mutating func string(_ text: String, limit: Int) {
        string(text.utf8Span.span, limit: limit)
    }

    /// The inside of a JSON string. Control characters, DEL, C1 controls and the characters that reorder or break lines
    /// are written as `\u` escapes; a byte that is no UTF-8 becomes `\ufffd`.
    @_lifetime(self: copy self)
    mutating func escaped(_ text: Span<UInt8>, limit: Int) {
        // Room for the mark of a cut is always kept back.
        let end = count + limit - 3
        let bytes = text.bytes
        var index = 0
        while index < text.count {
            if index + 8 <= text.count, count + 8 <= end {
                let word = bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
                if isPlain(word) {
                    guard reserve(8) else { return }
                    memory.storeBytes(of: word, toByteOffset: count, as: UInt64.self)
                    count += 8
                    index += 8
                    continue
                }
            }
            let character = EscapedCharacter(text, at: index)
            if count + character.width > end, count + rest(of: text, from: index) > end + 3 {
                byte(0xe2)
                byte(0x80)
                byte(0xa6)
                return
            }
            write(character)
            index += character.consumed
        }
    }

    /// Bytes that the rest will take; stops counting when it is clear that it is too many for any cut to be avoided.
    private func rest(of text: Span<UInt8>, from start: Int) -> Int {
        var index = start
        var width = 0
        while index < text.count, width <= 12 {
            let character = EscapedCharacter(text, at: index)
            width += character.width
            index += character.consumed
        }
        return width
    }

    @_lifetime(self: copy self)
    private mutating func write(_ character: EscapedCharacter) {
        switch character.form {
        case .plain(let bytes, let length):
            for index in 0..<length { byte(UInt8(truncatingIfNeeded: bytes >> UInt32(8 * index))) }
        case .short(let letter):
            byte(UInt8(ascii: "\\"))
            byte(letter)
        case .unicode(let value):
            raw("\\u")
            for index in 0..<4 { byte(hexDigits[Int(value >> UInt32(12 - 4 * index) & 15)]) }
        }
    }
}

private let hexDigits: InlineArray<16, UInt8> = [
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102,
]

/// Whether none of eight bytes needs a second look: printable ASCII without `"` and `\`.
private func isPlain(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs = ones << 7
    // A byte that is zero after the exclusive or borrows into its top bit (the classic test for a zero byte).
    func has(_ byte: UInt64) -> UInt64 {
        let difference = word ^ (ones &* byte)
        return (difference &- ones) & ~difference
    }
    let belowSpace = (word &- ones &* 0x20) & ~word
    return (word | belowSpace | has(0x22) | has(0x5c) | has(0x7f)) & highs == 0
}

/// The eight groups of an IPv6 address.
private struct AddressGroups {
    let address: IPAddress
    init(_ address: IPAddress) { self.address = address }

    subscript(index: Int) -> UInt16 {
        let half = index < 4 ? address.high : address.low
        return UInt16(truncatingIfNeeded: half >> UInt64((3 - index % 4) * 16))
    }

    /// The first of the longest runs of zero groups.
    var longestZeroRun: (start: Int, length: Int) {
        var best = (start: 0, length: 0)
        var run = (start: 0, length: 0)
        for index in 0..<8 {
            if self[index] != 0 {
                run.length = 0
                continue
            }
            if run.length == 0 { run.start = index }
            run.length += 1
            if run.length > best.length { best = run }
        }
        return best
    }
}
