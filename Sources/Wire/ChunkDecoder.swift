/// Takes the chunked coding (RFC 9112 §7.1) off a body, whatever the pieces it arrives in.
///
/// Strict, because two readings of one byte are how requests are smuggled: only CRLF ends a line, sizes have 1 to 16
/// digits, extensions must have the form of RFC 9112 §7.1.1. Extensions are checked and dropped (a recipient must ignore
/// those it does not know), trailer fields too (RFC 9112 §7.1.2: whoever removes the coding may discard them), so that one
/// which frames or routes (RFC 9110 §6.5.1) meets nobody who would merge it into the head. Both are bounded over
/// the whole body, so that a sender cannot make us read framing for ever.
///
/// A value of 16 bytes: it keeps no payload and no line.
package struct ChunkDecoder: Sendable {
    /// Offsets are of the input that was given.
    package enum Step: Hashable, Sendable {
        /// Payload in this range of the input; go on at its upper bound. Never empty.
        case data(Range<Int>)
        /// The whole input has been taken; the body goes on.
        case needMore
        /// The body is complete; what follows it begins at this offset of the input.
        case end(next: Int)
        /// Not a chunked body. Every further call says the same.
        case malformed(Malformation)
    }

    /// Which rule a body broke, in words for diagnostics.
    package enum Malformation: String, CaseIterable, Sendable {
        case badSize = "chunk size is not hexadecimal"
        case sizeTooLarge = "chunk size is too large"
        case badExtension = "chunk extension is malformed"
        case extensionsTooLong = "chunk extensions are too long"
        case badLineEnd = "line does not end with CRLF"
        case badTrailer = "trailer field is malformed"
        case trailersTooLong = "trailer section is too long"
        case afterEnd = "chunked body is over"
    }

    /// Bytes of chunk extensions in one body.
    package static let maximumExtensionBytes = 16 * 1_024
    /// Bytes of the trailer section of one body.
    package static let maximumTrailerBytes = 8 * 1_024

    private enum State: Hashable {
        /// The first digit → size.
        case sizeStart
        /// More digits → sizeSpace, extensionStart or sizeLF.
        case size
        /// White space before `;` → extensionStart.
        case sizeSpace
        /// After `;` → extensionName.
        case extensionStart
        /// → extensionNameSpace, valueStart, extensionStart or sizeLF.
        case extensionName
        /// White space after a name; `=` or `;` must come → valueStart or extensionStart.
        case extensionNameSpace
        /// After `=` → valueToken or quoted.
        case valueStart
        /// → valueSpace, extensionStart or sizeLF.
        case valueToken
        /// → quotedPair or valueEnd.
        case quoted
        /// The byte after a backslash → quoted.
        case quotedPair
        /// After the closing quote → valueSpace, extensionStart or sizeLF.
        case valueEnd
        /// White space after a value → extensionStart.
        case valueSpace
        /// → data, or trailerStart after the chunk of size 0.
        case sizeLF
        /// → dataCR when the chunk is through.
        case data
        /// → dataLF.
        case dataCR
        /// → sizeStart.
        case dataLF
        /// A field line or the empty line → trailerName or endLF.
        case trailerStart
        /// → trailerValue.
        case trailerName
        /// → trailerLF.
        case trailerValue
        /// → trailerStart.
        case trailerLF
        /// → done.
        case endLF
        case done
        case failed(Malformation)
    }

    private var state = State.sizeStart
    private var digits: UInt8 = 0
    private var extensionBytes: UInt16 = 0
    private var trailerBytes: UInt16 = 0
    /// Payload of the current chunk that has not come yet.
    private var remaining: UInt64 = 0

    package init() {}

    package var isComplete: Bool { state == .done }

    /// Goes on with the bytes of `input` from `offset` on, up to the next payload or the end.
    ///
    /// Call it again with the upper bound after `.data`, and with the next input after `.needMore`. After `.end` the
    /// decoder is spent: make a new one.
    package mutating func decode(_ input: Span<UInt8>, from offset: Int) -> Step {
        var position = offset
        while position < input.count {
            if state == .data {
                let length = Int(min(remaining, UInt64(input.count - position)))
                remaining -= UInt64(length)
                if remaining == 0 { state = .dataCR }
                return .data(position..<position + length)
            }
            take(input[position])
            switch state {
            case .done: return .end(next: position + 1)
            case .failed(let malformation): return .malformed(malformation)
            default: position += 1
            }
        }
        if case .failed(let malformation) = state { return .malformed(malformation) }
        return .needMore
    }

    /// One byte of framing.
    private mutating func take(_ byte: UInt8) {
        switch state {
        case .sizeStart, .size, .sizeSpace, .sizeLF: takeSize(byte)
        case .extensionStart, .extensionName, .extensionNameSpace, .valueStart, .valueToken, .quoted, .quotedPair,
            .valueEnd, .valueSpace:
            takeExtension(byte)
        case .dataCR: state = byte == cr ? .dataLF : .failed(.badLineEnd)
        case .dataLF: state = byte == lf ? .sizeStart : .failed(.badLineEnd)
        case .trailerStart, .trailerName, .trailerValue, .trailerLF, .endLF: takeTrailer(byte)
        case .done: state = .failed(.afterEnd)
        case .data, .failed: break
        }
    }

    private mutating func takeSize(_ byte: UInt8) {
        if state == .sizeLF {
            if byte == lf {
                state = remaining == 0 ? .trailerStart : .data
            } else {
                state = .failed(.badLineEnd)
            }
            return
        }
        if state != .sizeSpace, let digit = hexDigit(byte) {
            if state == .sizeStart {
                remaining = 0
                digits = 0
                state = .size
            }
            remaining = remaining << 4 | UInt64(digit)
            digits += 1
            if digits > 16 || remaining > UInt64(Int64.max) { state = .failed(.sizeTooLarge) }
            return
        }
        switch byte {
        case cr where state == .size: state = .sizeLF
        case semicolon where state != .sizeStart: countExtension(then: .extensionStart)
        case _ where state != .sizeStart && Characters.isWhitespace(byte): countExtension(then: .sizeSpace)
        case cr where state == .sizeSpace, lf where state != .sizeStart: state = .failed(.badLineEnd)
        default: state = .failed(state == .sizeSpace ? .badExtension : .badSize)
        }
    }

    private mutating func takeExtension(_ byte: UInt8) {
        let isSpace = Characters.isWhitespace(byte)
        let next: State? =
            switch state {
            case .extensionStart:
                isSpace ? .extensionStart : Characters.token.contains(byte) ? .extensionName : nil
            case .extensionName:
                switch byte {
                case equals: .valueStart
                case semicolon: .extensionStart
                case cr: .sizeLF
                default: isSpace ? .extensionNameSpace : Characters.token.contains(byte) ? .extensionName : nil
                }
            case .extensionNameSpace:
                switch byte {
                case equals: .valueStart
                case semicolon: .extensionStart
                default: isSpace ? .extensionNameSpace : nil
                }
            case .valueStart:
                switch byte {
                case quote: .quoted
                default: isSpace ? .valueStart : Characters.token.contains(byte) ? .valueToken : nil
                }
            case .valueToken where Characters.token.contains(byte): .valueToken
            case .valueToken, .valueEnd:
                switch byte {
                case semicolon: .extensionStart
                case cr: .sizeLF
                default: isSpace ? .valueSpace : nil
                }
            case .valueSpace:
                byte == semicolon ? .extensionStart : isSpace ? .valueSpace : nil
            case .quoted:
                switch byte {
                case quote: .valueEnd
                case backslash: .quotedPair
                default: Characters.isFieldValue(byte) ? .quoted : nil
                }
            case .quotedPair: Characters.isFieldValue(byte) ? .quoted : nil
            default: nil
            }
        if let next {
            countExtension(then: next)
        } else {
            state = .failed(byte == lf || byte == cr ? .badLineEnd : .badExtension)
        }
    }

    private mutating func countExtension(then next: State) {
        extensionBytes += 1
        state = Int(extensionBytes) > ChunkDecoder.maximumExtensionBytes ? .failed(.extensionsTooLong) : next
    }

    private mutating func takeTrailer(_ byte: UInt8) {
        trailerBytes += 1
        if Int(trailerBytes) > ChunkDecoder.maximumTrailerBytes {
            state = .failed(.trailersTooLong)
            return
        }
        switch state {
        case .trailerStart where byte == cr: state = .endLF
        case .trailerStart where Characters.token.contains(byte): state = .trailerName
        case .trailerName where Characters.token.contains(byte): break
        case .trailerName where byte == colon: state = .trailerValue
        case .trailerValue where byte == cr: state = .trailerLF
        case .trailerValue where Characters.isFieldValue(byte): break
        case .trailerLF where byte == lf: state = .trailerStart
        case .endLF where byte == lf: state = .done
        case .trailerLF, .endLF: state = .failed(.badLineEnd)
        default: state = .failed(byte == lf ? .badLineEnd : .badTrailer)
        }
    }
}

private let cr: UInt8 = 13
private let lf: UInt8 = 10
private let quote = UInt8(ascii: "\"")
private let backslash = UInt8(ascii: "\\")
private let colon = UInt8(ascii: ":")
private let semicolon = UInt8(ascii: ";")
private let equals = UInt8(ascii: "=")
