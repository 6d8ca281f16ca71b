/// Why a text is not the JSON that was expected, and where.
package struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    /// Bytes before the place.
    package let offset: Int
    package var description: String { "\(message) (byte \(offset + 1))" }
}

extension JSONValue {
    /// Reads one document. Strict: no comments, no trailing commas, no second member of one name, no unpaired surrogate,
    /// nothing behind the end. What two readers could understand in two ways must not decide who is blocked.
    /// - Parameter depth: how many arrays and objects may lie in one another.
    package static func read(_ bytes: [UInt8], depth: Int = 16) throws(JSONFault) -> JSONValue {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw JSONFault(message: "the text is not UTF-8", offset: 0)
        }
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: depth)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw reader.fault("something stands behind the end") }
        return value
    }
}

private struct JSONReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    func fault(_ message: String) -> JSONFault { JSONFault(message: message, offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: Character) -> Bool {
        guard next == byte.asciiValue else { return false }
        position += 1
        return true
    }

    mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"):
            guard depth > 0 else { throw fault("too deep") }
            return try object(depth: depth - 1)
        case UInt8(ascii: "["):
            guard depth > 0 else { throw fault("too deep") }
            return try array(depth: depth - 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-")?, (48...57)?: return try number()
        default: throw fault("a value is missing")
        }
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        guard bytes[position...].starts(with: text.utf8) else { throw fault("not a JSON value") }
        position += text.utf8.count
        return value
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
        position += 1
        var members: [JSONValue.Member] = []
        var names: Set<String> = []
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw fault("a member's name is missing") }
            let name = try string()
            guard names.insert(name).inserted else { throw fault("a member stands twice") }
            skipSpace()
            guard take(":") else { throw fault("a colon is missing") }
            members.append(.init(name, try value(depth: depth)))
            skipSpace()
        } while take(",")
        guard take("}") else { throw fault("the end of the object is missing") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
        position += 1
        var items: [JSONValue] = []
        skipSpace()
        if take("]") { return .array([]) }
        repeat {
            items.append(try value(depth: depth))
            skipSpace()
        } while take(",")
        guard take("]") else { throw fault("the end of the array is missing") }
        return .array(items)
    }

    private mutating func string() throws(JSONFault) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text += UTF8.encode(try escaped())!
            case 0..<0x20: throw fault("a control character stands in a string")
            default: text.append(byte)
            }
        }
        throw fault("the end of the string is missing")
    }

    private mutating func escaped() throws(JSONFault) -> Unicode.Scalar {
        let letter = next
        position += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = try unit()
            if let scalar = Unicode.Scalar(first) { return scalar }
            guard (0xd800...0xdbff).contains(first), take("\\"), take("u") else {
                throw fault("half of a surrogate pair")
            }
            let second = try unit()
            guard (0xdc00...0xdfff).contains(second) else { throw fault("half of a surrogate pair") }
            return Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))!
        default: throw fault("no such escape")
        }
    }

    private mutating func unit() throws(JSONFault) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("four hexadecimal digits are missing")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }

    private mutating func number() throws(JSONFault) -> JSONValue {
        let start = position
        _ = take("-")
        let firstDigit = position
        let digits = takeDigits()
        guard digits > 0, digits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
            throw fault("the number is malformed")
        }
        var isInteger = true
        if take(".") {
            isInteger = false
            guard takeDigits() > 0 else { throw fault("the number is malformed") }
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            guard takeDigits() > 0 else { throw fault("the number is malformed") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger {
            guard let number = Int(text) else { throw fault("the number is too large") }
            return .integer(number)
        }
        guard let number = Double(text), number.isFinite else { throw fault("the number is too large") }
        return .decimal(number)
    }

    private mutating func takeDigits() -> Int {
        let start = position
        while let byte = next, byte >= 48, byte <= 57 { position += 1 }
        return position - start
    }
}
