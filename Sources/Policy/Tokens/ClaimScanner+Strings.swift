internal import Wire

extension ClaimScanner {
    /// From the quotation mark at the cursor to behind its partner.
    mutating func string() -> Value? {
        guard at < count, bytes[at] == UInt8(ascii: "\"") else { return nil }
        at += 1
        let start = at
        while at < count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                at += 1
                return Value(kind: .string, start: start, end: at - 1)
            }
            if byte == UInt8(ascii: "\\") { return escapedString(from: start) }
            if byte >= 0x80 {
                guard let length = sequenceLength() else { return nil }
                at += length
            } else {
                guard byte >= 0x20 else { return nil }
                at += 1
            }
        }
        return nil
    }

    /// The rest of a string from its first escape on, written down again without escapes.
    private mutating func escapedString(from start: Int) -> Value? {
        var end = at
        while at < count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                at += 1
                return Value(kind: .string, start: start, end: unescapes ? end : at - 1)
            }
            if byte == UInt8(ascii: "\\") {
                guard let scalar = escape() else { return nil }
                if unescapes {
                    for unit in UTF8.encode(scalar)! {
                        bytes[end] = unit
                        end += 1
                    }
                }
                continue
            }
            var length = 1
            if byte >= 0x80 {
                guard let found = sequenceLength() else { return nil }
                length = found
            } else if byte < 0x20 {
                return nil
            }
            for _ in 0..<length {
                if unescapes { bytes[end] = bytes[at] }
                end += 1
                at += 1
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        at += 1
        guard at < count else { return nil }
        let kind = bytes[at]
        at += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return escapedScalar()
        default: return nil
        }
    }

    /// Four hexadecimal digits, or a surrogate pair; half a pair has no meaning in UTF-8 and is refused.
    private mutating func escapedScalar() -> Unicode.Scalar? {
        guard let first = hexUnit() else { return nil }
        guard first & 0xfc00 == 0xd800 else { return Unicode.Scalar(first) }
        guard at + 1 < count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else { return nil }
        at += 2
        guard let second = hexUnit(), second & 0xfc00 == 0xdc00 else { return nil }
        return Unicode.Scalar(0x10000 + (first & 0x3ff) << 10 + second & 0x3ff)
    }

    private mutating func hexUnit() -> UInt32? {
        guard count - at >= 4 else { return nil }
        var unit: UInt32 = 0
        for index in at..<at + 4 {
            guard let digit = hexDigit(bytes[index]) else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        at += 4
        return unit
    }

    /// Bytes of the UTF-8 sequence at the cursor, by the table of RFC 3629 §4: no overlong forms, no surrogates, nothing
    /// above U+10FFFF.
    private func sequenceLength() -> Int? {
        let lead = bytes[at]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: length = 2
        case 0xe0: (length, second) = (3, 0xa0...0xbf)
        case 0xed: (length, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: length = 3
        case 0xf0: (length, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: length = 4
        case 0xf4: (length, second) = (4, 0x80...0x8f)
        default: return nil
        }
        guard count - at >= length, second.contains(bytes[at + 1]) else { return nil }
        for index in at + 2..<at + length where bytes[index] & 0xc0 != 0x80 { return nil }
        return length
    }
}
