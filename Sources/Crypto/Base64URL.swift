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
        // Both sizes are settled here, so the loop goes without a check per byte: a third of the time of a token not
        // seen before would be spent on them.
        let isStrict = text.withUnsafeBufferPointer { text in
            output.withUnsafeMutableBufferPointer { output in
                values.withUnsafeBufferPointer { values in
                    guard let text = text.baseAddress, let output = output.baseAddress, size > 0 else { return true }
                    return decode(text, 4 * (size / 3), size % 3, to: output, values.baseAddress!)
                }
            }
        }
        return isStrict ? size : nil
    }

    /// `whole` digits, a multiple of four, and those of `rest` (0–2) bytes behind them.
    private static func decode(
        _ text: UnsafePointer<UInt8>, _ whole: Int, _ rest: Int, to output: UnsafeMutablePointer<UInt8>,
        _ values: UnsafePointer<UInt8>
    ) -> Bool {
        var (from, to) = (text, output)
        let end = text + whole
        // The high bits of all values seen: one test at the end instead of one per digit.
        var seen: UInt8 = 0
        while from < end {
            let (a, b) = (values[Int(from[0])], values[Int(from[1])])
            let (c, d) = (values[Int(from[2])], values[Int(from[3])])
            seen |= a | b | c | d
            to[0] = a << 2 | b >> 4
            to[1] = b << 4 | c >> 2
            to[2] = c << 6 | d
            from += 4
            to += 3
        }
        guard rest > 0 else { return seen < 64 }
        let (a, b) = (values[Int(from[0])], values[Int(from[1])])
        seen |= a | b
        to[0] = a << 2 | b >> 4
        guard rest == 2 else { return seen < 64 && b & 15 == 0 }
        let c = values[Int(from[2])]
        to[1] = b << 4 | c >> 2
        return seen | c < 64 && c & 3 == 0
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
        append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Writes `bytes` behind `text`.
    package static func append(_ bytes: Span<UInt8>, to text: inout [UInt8]) {
        var at = 0
        while at < bytes.count {
            let group = min(3, bytes.count - at)
            var bits: UInt32 = 0
            for index in 0..<3 { bits = bits << 8 | (index < group ? UInt32(bytes[at + index]) : 0) }
            for index in 0...group { text.append(digits[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
            at += group
        }
    }
}
