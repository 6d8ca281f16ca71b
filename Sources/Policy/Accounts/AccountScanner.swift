/// Finds members of a JSON text, whatever else is wrong with it: what a lenient reader understands must not go by
/// unseen, so this one knows strings and brackets, and asks for nothing more. A member that stands twice is found
/// twice. Arrays are looked through. Without recursion: depth costs an entry in a list each, and a body has a bound.
struct AccountScanner {
    private let bytes: [UInt8]
    private let paths: [[[UInt8]]]
    private var at = 0
    /// For each open object or array: how many names of each path lead to it; -1: another way.
    private var matched: [[Int]] = []
    /// The same for the value that is read next.
    private var next: [Int]
    private var found: [[UInt8]] = []

    /// A number is found whose spelling tells less than its value.
    private var isUnclear = false

    /// What every reader has exactly as it is: larger ones are made round by some.
    private static let mostDigits = 15

    /// Nil: it is unclear which.
    /// - Parameter paths: in lower case.
    static func values(of paths: [[[UInt8]]], in bytes: [UInt8]) -> [[UInt8]]? {
        var scanner = AccountScanner(bytes: bytes, paths: paths)
        scanner.scan()
        return scanner.isUnclear ? nil : scanner.found
    }

    private init(bytes: [UInt8], paths: [[[UInt8]]]) {
        self.bytes = bytes
        self.paths = paths
        next = Array(repeating: 0, count: paths.count)
    }

    private mutating func scan() {
        let nowhere = Array(repeating: -1, count: paths.count)
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                matched.append(next)
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                _ = matched.popLast()
                next = matched.last ?? nowhere
                at += 1
            case UInt8(ascii: ","):
                next = matched.last ?? nowhere
                at += 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                let text = string(upTo: bytes[at])
                skipSpace()
                if at < bytes.count, bytes[at] == UInt8(ascii: ":") {
                    at += 1
                    enter(text)
                } else {
                    take(text)
                }
            case UInt8(ascii: ":"):
                at += 1
            default:
                let start = at
                skipSpace()
                guard at == start else { continue }
                let word = word()
                skipSpace()
                if at < bytes.count, bytes[at] == UInt8(ascii: ":") {
                    at += 1
                    enter(word)
                } else if word.first.map(AccountScanner.isNumeric) == true {
                    take(word, isNumber: true)
                }
            }
        }
    }

    /// The value of this member comes next.
    private mutating func enter(_ name: [UInt8]) {
        let outer = matched.last ?? next
        for index in paths.indices {
            let depth = outer[index]
            let leads = depth >= 0 && depth < paths[index].count && AccountName.isMember(name, paths[index][depth])
            next[index] = leads ? depth + 1 : -1
        }
    }

    private mutating func take(_ value: [UInt8], isNumber: Bool = false) {
        for index in paths.indices where next[index] == paths[index].count {
            found.append(value)
            if isNumber && !AccountScanner.isPlain(value) { isUnclear = true }
            return
        }
    }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0...0x20: at += 1
            // Not to break, which is white space to some.
            case 0xc2 where at + 1 < bytes.count && bytes[at + 1] == 0xa0: at += 2
            case UInt8(ascii: "/") where skipComment(): continue
            default: return
            }
        }
    }

    /// Some readers take comments. False: there is none.
    private mutating func skipComment() -> Bool {
        guard at + 1 < bytes.count else { return false }
        switch bytes[at + 1] {
        case UInt8(ascii: "/"):
            while at < bytes.count, bytes[at] != 0x0a { at += 1 }
            return true
        case UInt8(ascii: "*"):
            at += 3
            while at < bytes.count, !(bytes[at] == UInt8(ascii: "/") && bytes[at - 1] == UInt8(ascii: "*")) { at += 1 }
            at = min(at + 1, bytes.count)
            return true
        default: return false
        }
    }

    /// Whether a word could be a number: JSON5 has `+1` and `.5`, too.
    private static func isNumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Whether a number is a whole one as it is usually written: `12345.0` and `1234500e-2` are 12345 as well.
    private static func isPlain(_ number: [UInt8]) -> Bool {
        let digits = number.first == UInt8(ascii: "-") ? number[1...] : number[...]
        guard let first = digits.first, digits.count <= mostDigits, digits.allSatisfy(isDigit) else { return false }
        return first != UInt8(ascii: "0") || number.count == 1
    }

    /// A number, a literal, or a name without quotation marks.
    private mutating func word() -> [UInt8] {
        let start = at
        let ends = Array("{}[],:\"'/".utf8)
        repeat { at += 1 } while at < bytes.count && bytes[at] > 0x20 && !ends.contains(bytes[at])
        return Array(bytes[start..<at])
    }

    /// From behind the quotation mark at the cursor to behind its partner, or to the end, without escapes.
    private mutating func string(upTo mark: UInt8) -> [UInt8] {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count, bytes[at] != mark {
            if bytes[at] == UInt8(ascii: "\\") {
                escape(into: &text)
            } else {
                text.append(bytes[at])
                at += 1
            }
        }
        at += 1
        return text
    }

    private mutating func escape(into text: inout [UInt8]) {
        at += 1
        guard at < bytes.count else { return }
        let kind = bytes[at]
        at += 1
        switch kind {
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard var value = unit() else { return text.append(kind) }
            // Half a pair means nothing; readers put U+FFFD in its place.
            if value & 0xfc00 == 0xd800, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
                bytes[at + 1] == UInt8(ascii: "u")
            {
                let back = at
                at += 2
                if let low = unit(), low & 0xfc00 == 0xdc00 {
                    value = 0x10000 + (value & 0x3ff) << 10 + low & 0x3ff
                } else {
                    at = back
                }
            }
            text += Array(String(Character(Unicode.Scalar(value) ?? "\u{fffd}")).utf8)
        default: text.append(kind)
        }
    }

    private mutating func unit() -> UInt32? {
        guard bytes.count - at >= 4 else { return nil }
        var value: UInt32 = 0
        for byte in bytes[at..<at + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        at += 4
        return value
    }
}
