/// A flat JSON object of strings and whole numbers: all that the values of our keys need, short enough to read in
/// `redis-cli GET`.
enum FlatObject {
    enum Member { case text(String), number(Int) }

    /// Nil for anything else.
    static func read(_ bytes: [UInt8]) -> [String: Member]? {
        var reader = FlatObjectReader(bytes: bytes)
        return reader.read()
    }

    /// As a string of JSON, cut after 200 characters: a value is read back from its first 4 KiB.
    static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars.prefix(200) {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

private struct FlatObjectReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() -> [String: FlatObject.Member]? {
        var members: [String: FlatObject.Member] = [:]
        guard skip("{") else { return nil }
        while true {
            guard let name = string(), skip(":"), let member = member(), members[name] == nil else { return nil }
            members[name] = member
            if skip(",") { continue }
            guard skip("}"), position == bytes.count else { return nil }
            return members
        }
    }

    private mutating func member() -> FlatObject.Member? {
        if let text = string() { return .text(text) }
        let start = position
        while position < bytes.count, (48...57).contains(bytes[position]) { position += 1 }
        return Int(String(decoding: bytes[start..<position], as: UTF8.self)).map { .number($0) }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        while position < bytes.count, [9, 10, 13, 32].contains(bytes[position]) { position += 1 }
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        while position < bytes.count, [9, 10, 13, 32].contains(bytes[position]) { position += 1 }
        return true
    }

    private mutating func string() -> String? {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { return nil }
        var text: [UInt8] = []
        var index = position + 1
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                position = index + 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard index + 1 < bytes.count else { return nil }
                if bytes[index + 1] == UInt8(ascii: "u") {
                    guard index + 5 < bytes.count,
                        let value = UInt8(String(decoding: bytes[index + 2...index + 5], as: UTF8.self), radix: 16)
                    else { return nil }
                    text.append(value)
                    index += 6
                } else {
                    text.append(bytes[index + 1])
                    index += 2
                }
            default:
                text.append(bytes[index])
                index += 1
            }
        }
        return nil
    }
}
