internal import Policy
internal import Wire

/// The value that the gateway gives its own blocks: one flat JSON object, short enough to read in `redis-cli GET`.
/// `{"by":"gateway","reason":"failed_logins","failures":5,"at":"2026-11-21T07:09:16.123Z"}`; without `failures` an
/// operator set it through the gateway. Every other value is somebody's `redis-cli SET`.
struct BlockValue: Hashable {
    var by: String
    var reason: String
    var failures: Int?
    var at: WallTime

    init(_ record: BlockRecord) {
        by = record.actor
        reason = record.reason
        if case .automatic(let count) = record.origin { failures = count }
        at = record.since
    }

    var origin: BlockOrigin { failures.map { .automatic(failures: $0) } ?? .command }

    var text: String {
        let count = failures.map { ",\"failures\":\($0)" } ?? ""
        return "{\"by\":\(quoted(by)),\"reason\":\(quoted(reason))\(count),\"at\":\"\(at.text)\"}"
    }

    /// nil for a value that the gateway did not write.
    init?(_ bytes: [UInt8]) {
        var reader = FlatObjectReader(bytes: bytes)
        guard let members = reader.read(), case .text(let by) = members["by"],
            case .text(let reason) = members["reason"],
            case .text(let written) = members["at"], let at = WallTime(text: written)
        else { return nil }
        self.by = by
        self.reason = reason
        self.at = at
        switch members["failures"] {
        case .number(let count): failures = count
        case nil: failures = nil
        default: return nil
        }
    }

    private func quoted(_ text: String) -> String {
        var out = "\""
        // The value is read back from its first kilobyte.
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

/// Reads an object of strings and whole numbers, all that a block's value needs.
private struct FlatObjectReader {
    enum Member { case text(String), number(Int) }

    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() -> [String: Member]? {
        var members: [String: Member] = [:]
        guard skip("{") else { return nil }
        while true {
            guard let name = string(), skip(":"), let member = member(), members[name] == nil else { return nil }
            members[name] = member
            if skip(",") { continue }
            guard skip("}"), position == bytes.count else { return nil }
            return members
        }
    }

    private mutating func member() -> Member? {
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

extension WallTime {
    /// Reads what `text` writes: `2026-11-21T07:09:16.123Z`, exactly; nil for anything else.
    init?(text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            bytes[range].allSatisfy { (48...57).contains($0) }
                ? Int64(String(decoding: bytes[range], as: UTF8.self)) : nil
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), let millisecond = number(20..<23),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        // Days from civil, with years that begin in March so that the leap day is their last.
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let inEra = shifted - era * 400
        let inYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + inEra * 365 + inEra / 4 - inEra / 100 + inYear - 719_468
        self.init(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millisecond)
        guard self.text == text else { return nil }
    }
}
