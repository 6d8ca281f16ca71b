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
    /// Where writing ends: that of the memory, or, after an overflow, where it happened.
    private var end: Int

    @_lifetime(copy memory)
    init(_ memory: consuming MutableRawSpan) {
        end = memory.byteCount
        self.memory = memory
    }

    @inline(__always)
    @_lifetime(self: copy self)
    private mutating func reserve(_ bytes: Int) -> Bool {
        if end - count >= bytes { return true }
        overflowed = true
        end = count
        return false
    }

    @inline(__always)
    @_lifetime(self: copy self)
    mutating func byte(_ value: UInt8) {
        guard reserve(1) else { return }
        memory.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Text that is JSON already. Inlined, so that a literal is stored with a few moves of known size.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func raw(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        guard length > 0, reserve(length) else { return }
        let at = count
        memory.withUnsafeMutableBytes { ($0.baseAddress! + at).copyMemory(from: text.utf8Start, byteCount: length) }
        count += length
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

    /// Bytes of an id that `id` writes.
    static let idLength = 32

    /// A quoted id of that many bytes, which need no escaping.
    @_lifetime(self: copy self)
    mutating func id(_ id: Span<UInt8>) {
        precondition(id.count == LineWriter.idLength, "an id of another length")
        guard reserve(LineWriter.idLength + 2) else { return }
        let bytes = id.bytes
        memory.storeBytes(of: UInt8(ascii: "\""), toByteOffset: count, as: UInt8.self)
        for offset in stride(from: 0, to: LineWriter.idLength, by: 8) {
            let word = bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            memory.storeBytes(of: word, toByteOffset: count + 1 + offset, as: UInt64.self)
        }
        memory.storeBytes(of: UInt8(ascii: "\""), toByteOffset: count + 1 + LineWriter.idLength, as: UInt8.self)
        count += LineWriter.idLength + 2
    }

    @_lifetime(self: copy self)
    mutating func number(_ value: Int) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        number(value.magnitude)
    }

    @_lifetime(self: copy self)
    private mutating func number(_ value: UInt) {
        guard value < 1_000 else {
            number(value / 1_000)
            thousandths(value % 1_000)
            return
        }
        guard reserve(4) else { return }
        let digits = Digits.upToThree(UInt32(value))
        memory.storeBytes(of: digits.text, toByteOffset: count, as: UInt32.self)
        count += digits.count
    }

    /// Exactly three digits of a number below 1,000.
    @_lifetime(self: copy self)
    mutating func thousandths(_ value: UInt) {
        guard reserve(4) else { return }
        memory.storeBytes(of: Digits.three(UInt32(value)), toByteOffset: count, as: UInt32.self)
        count += 3
    }

    /// Exactly two digits of a number below 100, and what stands behind them.
    @_lifetime(self: copy self)
    private mutating func twoDigits(_ value: Int, _ next: Unicode.Scalar) {
        guard reserve(4) else { return }
        let text = Digits.three(UInt32(value)) >> 8 | next.value << 16
        memory.storeBytes(of: text, toByteOffset: count, as: UInt32.self)
        count += 3
    }

    /// Milliseconds with three decimals, so that microseconds are kept. A negative length is written as 0.
    @_lifetime(self: copy self)
    mutating func milliseconds(_ interval: Interval) {
        let microseconds = UInt(max(0, interval.nanoseconds)) / 1_000
        number(microseconds / 1_000)
        byte(UInt8(ascii: "."))
        thousandths(microseconds % 1_000)
    }

    /// RFC 3339 in UTC up to the dot before the milliseconds.
    @_lifetime(self: copy self)
    mutating func wholeSecond(of time: WallTime) {
        let at = time.civil
        let year = max(0, at.year)
        byte(UInt8(48 + year / 1_000 % 10))
        thousandths(UInt(year % 1_000))
        byte(UInt8(ascii: "-"))
        twoDigits(at.month, "-")
        twoDigits(at.day, "T")
        twoDigits(at.hour, ":")
        twoDigits(at.minute, ":")
        twoDigits(at.second, ".")
    }

    /// RFC 3339 in UTC with milliseconds, without quotes, for the years 0–9999.
    @_lifetime(self: copy self)
    mutating func timestamp(_ time: WallTime) {
        wholeSecond(of: time)
        thousandths(UInt(time.milliseconds - time.seconds * 1_000))
        byte(UInt8(ascii: "Z"))
    }

    /// Dotted decimal, or RFC 5952 text for IPv6, without quotes.
    @_lifetime(self: copy self)
    mutating func address(_ address: IPAddress) {
        if let v4 = address.v4 {
            guard reserve(Digits.dottedRoom) else { return }
            let at = count
            count += memory.withUnsafeMutableBytes { Digits.dotted(v4, to: $0.baseAddress! + at) }
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
        if text.count <= limit, plainString(text) { return }
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
        let last = count + limit - 3
        let bytes = text.bytes
        var index = 0
        while index < text.count {
            if index + 8 <= text.count, count + 8 <= last {
                let word = bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
                if marks(word) & highBits == 0 {
                    guard reserve(8) else { return }
                    memory.storeBytes(of: word, toByteOffset: count, as: UInt64.self)
                    count += 8
                    index += 8
                    continue
                }
            }
            let character = EscapedCharacter(text, at: index)
            if count + character.width > last, count + rest(of: text, from: index) > last + 3 {
                byte(0xe2)
                byte(0x80)
                byte(0xa6)
                return
            }
            write(character)
            index += character.consumed
        }
    }

    /// Writes a text that can stand in a JSON string as it is, which nearly every one can, and its quotes: its words are looked
    /// at on their way. False: something must be done about it, or there is no room, and nothing was written.
    @_lifetime(self: copy self)
    private mutating func plainString(_ text: Span<UInt8>) -> Bool {
        let length = text.count
        guard end - count >= length + 2 else { return false }
        let bytes = text.bytes
        let start = count + 1
        if length < 4 {
            for index in 0..<length {
                let byte = text[index]
                if byte < 0x20 || byte >= 0x7f || byte == 0x22 || byte == 0x5c { return false }
                memory.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
            }
        } else if length < 8 {
            let first = bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)
            let last = bytes.unsafeLoadUnaligned(fromByteOffset: length - 4, as: UInt32.self)
            if marks(UInt64(first) | UInt64(last) << 32) & highBits != 0 { return false }
            memory.storeBytes(of: first, toByteOffset: start, as: UInt32.self)
            memory.storeBytes(of: last, toByteOffset: start + length - 4, as: UInt32.self)
        } else {
            var found: UInt64 = 0
            let last = length - 8
            var index = 0
            while index < last {
                let word = bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
                found |= marks(word)
                memory.storeBytes(of: word, toByteOffset: start + index, as: UInt64.self)
                index += 8
            }
            // The last word overlaps the one before it.
            let word = bytes.unsafeLoadUnaligned(fromByteOffset: last, as: UInt64.self)
            found |= marks(word)
            memory.storeBytes(of: word, toByteOffset: start + last, as: UInt64.self)
            if found & highBits != 0 { return false }
        }
        memory.storeBytes(of: UInt8(ascii: "\""), toByteOffset: count, as: UInt8.self)
        memory.storeBytes(of: UInt8(ascii: "\""), toByteOffset: start + length, as: UInt8.self)
        count += length + 2
        return true
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

private let highBits: UInt64 = 0x8080_8080_8080_8080

/// Sets the top bit of the first byte that needs a second look, and leaves it clear in all before it: anything but
/// printable ASCII without `"` and `\`. (Zero less one borrows; 0x7f and one more carries; what is below a space borrows.)
private func marks(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    return word | (word &- ones &* 0x20) | ((word ^ ones &* 0x22) &- ones) | ((word ^ ones &* 0x5c) &- ones)
        | (word &+ ones)
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
