/// base64url without padding, as JOSE uses it (RFC 7515 §2), and nothing more lenient: a token that has two spellings
/// would pass a revocation list or a cache under the other one.
package enum Base64URL {
    private static let digits: [UInt8] = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The value of each byte as a digit; 255 for what is none.
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (value, digit) in digits.enumerated() { table[Int(digit)] = UInt8(value) }
        return table
    }()

    /// Bytes that `count` digits stand for; nil where no text has that length.
    package static func decodedCount(of count: Int) -> Int? {
        count % 4 == 1 ? nil : count / 4 * 3 + max(0, count % 4 - 1)
    }

    /// Decodes `text` to the start of `output` and returns how many bytes that were. Nil, with `output` in an unknown
    /// state: padding, white space, another alphabet, an impossible length, bits set behind the last byte (RFC 4648
    /// §3.5), or no room.
    package static func decode(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
        guard let size = decodedCount(of: text.count), size <= output.count else { return nil }
        let table = values.span
        let whole = text.count & ~3
        var written = 0
        var at = 0
        // The high bits of all values seen: one test at the end instead of one per digit.
        var seen: UInt8 = 0
        while at < whole {
            let a = table[Int(text[at])]
            let b = table[Int(text[at + 1])]
            let c = table[Int(text[at + 2])]
            let d = table[Int(text[at + 3])]
            seen |= a | b | c | d
            output[written] = a << 2 | b >> 4
            output[written + 1] = b << 4 | c >> 2
            output[written + 2] = c << 6 | d
            at += 4
            written += 3
        }
        if at < text.count {
            let a = table[Int(text[at])]
            let b = table[Int(text[at + 1])]
            seen |= a | b
            output[written] = a << 2 | b >> 4
            if text.count - at == 2 {
                guard b & 15 == 0 else { return nil }
            } else {
                let c = table[Int(text[at + 2])]
                guard c & 3 == 0 else { return nil }
                seen |= c
                output[written + 1] = b << 4 | c >> 2
            }
        }
        return seen < 64 ? size : nil
    }

    /// The same into an array of its own.
    package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        guard let size = decodedCount(of: text.count) else { return nil }
        var output = [UInt8](repeating: 0, count: size)
        var span = output.mutableSpan
        return decode(text, into: &span) == nil ? nil : output
    }

    package static func encode(_ bytes: Span<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var at = 0
        while at < bytes.count {
            let group = min(3, bytes.count - at)
            var bits: UInt32 = 0
            for index in 0..<3 { bits = bits << 8 | (index < group ? UInt32(bytes[at + index]) : 0) }
            for index in 0...group { text.append(digits[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
            at += group
        }
        return String(decoding: text, as: UTF8.self)
    }
}
