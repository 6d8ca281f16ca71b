/// RFC 7519 §2 NumericDate: seconds since 1970 as a JSON number, with or without a fraction.
enum NumericDate {
    /// The largest number of seconds: what a double counts exactly. In milliseconds it still fits into 64 bits with any
    /// leeway added.
    private static let maximumSeconds: Int64 = 1 << 53

    /// Milliseconds since 1970 from the text of a JSON number, rounded down; nil when it is out of range. Exponents are
    /// read too: some issuers write `1.7e9`.
    static func milliseconds(_ text: Span<UInt8>) -> Int64? {
        var at = 0
        let isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
        if isNegative { at = 1 }
        // Digits as one integer, and the power of ten it has to be scaled by to give milliseconds.
        var mantissa: Int64 = 0
        var scale = 3
        var isFraction = false
        var droppedDigits = false
        while at < text.count {
            let byte = text[at]
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte >= 48, byte <= 57 {
                if mantissa < 1 << 59 / 10 {
                    mantissa = mantissa * 10 + Int64(byte - 48)
                    if isFraction { scale -= 1 }
                } else {
                    // More digits than 64 bits hold: they are below the precision, or the scale makes it out of range.
                    droppedDigits = droppedDigits || byte != 48
                    if !isFraction { scale += 1 }
                }
            } else {
                break
            }
            at += 1
        }
        if at < text.count {
            guard let exponent = exponent(text, from: at + 1) else { return nil }
            scale += exponent
        }
        while scale > 0, mantissa != 0 {
            guard mantissa <= maximumSeconds * 1_000 / 10 else { return nil }
            mantissa *= 10
            scale -= 1
        }
        while scale < 0, mantissa != 0 {
            droppedDigits = droppedDigits || mantissa % 10 != 0
            mantissa /= 10
            scale += 1
        }
        if isNegative { mantissa = -mantissa - (droppedDigits ? 1 : 0) }
        return abs(mantissa) <= maximumSeconds * 1_000 ? mantissa : nil
    }

    /// At most three digits: anything larger is out of range, whatever stands before it.
    private static func exponent(_ text: Span<UInt8>, from start: Int) -> Int? {
        var at = start
        let isNegative = at < text.count && text[at] == UInt8(ascii: "-")
        if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") { at += 1 }
        guard at < text.count, text.count - at <= 3 else { return nil }
        var value = 0
        while at < text.count {
            value = value * 10 + Int(text[at] - 48)
            at += 1
        }
        return isNegative ? -value : value
    }
}
