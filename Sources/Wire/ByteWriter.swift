internal import Glibc

/// A buffer of fixed size that messages are composed in, made once and used again and again.
///
/// It never grows: what does not fit sets `overflowed` and is left out, so a hostile length cannot write past the end and
/// the composer asks once, at the end, instead of after every piece.
public struct ByteWriter: ~Copyable {
    /// Owned; freed in `deinit`.
    @usableFromInline let memory: UnsafeMutablePointer<UInt8>
    public let capacity: Int
    @usableFromInline var used = 0
    @usableFromInline var isFull = false

    /// Bytes written.
    @inlinable
    public var count: Int { used }
    /// Something did not fit and was left out.
    @inlinable
    public var overflowed: Bool { isFull }

    package init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(capacity: capacity)
    }

    deinit { memory.deallocate() }

    /// What has been written.
    package var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let span = Span(_unsafeStart: memory, count: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The same without the compiler's promise that the writer outlives them, for an owner that is never freed: a writer
    /// in a class could not be read while the class is called otherwise.
    @inlinable
    public var unownedBytes: Span<UInt8> {
        @_lifetime(immortal)
        get { unsafe _overrideLifetime(Span(_unsafeStart: memory, count: count), copying: ()) }
    }

    /// Begins a new message in the same memory.
    @inlinable
    public mutating func reset() {
        used = 0
        isFull = false
    }

    /// Reserves `length` bytes, or notes the overflow.
    @inlinable
    @inline(__always)
    mutating func room(_ length: Int) -> UnsafeMutablePointer<UInt8>? {
        guard length <= capacity - used else {
            isFull = true
            return nil
        }
        let place = memory + used
        used += length
        return place
    }

    @inlinable
    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        room(1)?.pointee = byte
    }

    @inlinable
    @inline(__always)
    public mutating func append(_ bytes: Span<UInt8>) {
        guard let place = room(bytes.count) else { return }
        bytes.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { place.update(from: start, count: source.count) }
        }
    }

    /// `bytes[range]`; the range must lie within the span.
    @inlinable
    public mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        append(bytes.extracting(range))
    }

    /// Puts `bytes` in the place of as many that were written from `start` on.
    package mutating func overwrite(at start: Int, with bytes: Span<UInt8>) {
        precondition(start >= 0 && bytes.count <= used - start, "only what was written can be replaced")
        let place = memory + start
        bytes.withUnsafeBufferPointer { source in
            if let from = source.baseAddress { place.update(from: from, count: source.count) }
        }
    }

    /// Inlined, so that a literal is stored with a few moves of known size.
    @inlinable
    @inline(__always)
    public mutating func append(_ text: StaticString) {
        guard let place = room(text.utf8CodeUnitCount) else { return }
        place.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    package mutating func append(_ bytes: [UInt8]) {
        append(bytes.span)
    }

    /// Text made at run time. Has a label of its own, or every literal would be one: a `String` costs three times as much
    /// as a `StaticString`.
    package mutating func append(text: String) {
        var text = text
        text.withUTF8 { source in
            guard let start = source.baseAddress, let place = room(source.count) else { return }
            memcpy(place, start, source.count)
        }
    }

    /// Decimal digits without sign or padding.
    package mutating func append(decimal value: Int) {
        precondition(value >= 0, "lengths and counts are not negative")
        guard value < 1_000 else { return append(value, base: 10) }
        guard let place = room(4) else { return }
        let digits = Digits.upToThree(UInt32(value))
        UnsafeMutableRawPointer(place).storeBytes(of: digits.text, as: UInt32.self)
        used -= 4 - digits.count
    }

    /// Lower-case hexadecimal without padding: a chunk size.
    package mutating func append(hexadecimal value: Int) {
        precondition(value >= 0, "sizes are not negative")
        append(value, base: 16)
    }

    private mutating func append(_ value: Int, base: Int) {
        var digits = 1
        var rest = value / base
        while rest > 0 {
            digits += 1
            rest /= base
        }
        guard let place = room(digits) else { return }
        rest = value
        for position in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(rest % base)
            place[position] = digit < 10 ? 48 + digit : 87 + digit
            rest /= base
        }
    }

    /// The canonical text of an address, without building a String for IPv4.
    package mutating func append(_ address: IPAddress) {
        guard let v4 = address.v4 else { return append(text: address.description) }
        guard let place = room(Digits.dottedRoom) else { return }
        used -= Digits.dottedRoom - Digits.dotted(v4, to: place)
    }
}
