/// Finds fields in `multipart/form-data` (RFC 7578), whatever its boundary is called: behind `name="username"`, from the
/// next empty line on up to the next line that begins with two hyphens.
///
/// The cursor never goes back, and what is looked at ahead of it has a bound: whoever writes a body must not be able to make
/// reading it cost more than its length.
struct AccountParts {
    /// What stands between two empty lines.
    private struct Head {
        /// It has the name of a field.
        var isNamed = false
        /// It has a name that is encoded.
        var isExtended = false
        /// What follows is encoded.
        var isEncoded = false
        /// A carriage return by itself, which ends a line to some.
        var hasBareReturn = false

        /// Which readers find what there, nobody knows here.
        var isUnclear: Bool { isExtended || isNamed && (isEncoded || hasBareReturn) }
    }

    /// Who has one account does not name it so often.
    private static let mostValues = 16

    /// With its name, in bytes.
    private static let longestCharset = 32

    private let text: [UInt8]
    private let reader: AccountReader
    private var at = 0
    private var head = Head()
    private var isContent = false
    private var values: [[UInt8]] = []
    /// How many bytes were looked at.
    private(set) var work = 0

    init(_ text: [UInt8], of reader: AccountReader) {
        self.text = text
        self.reader = reader
    }

    /// Once. Nil: name or value is encoded once more, which only some readers undo (RFC 7578 §4.2 and §4.7 forbid the one
    /// and have done away with the other), or lines end where only some see it, or too much is named.
    mutating func read() -> [[UInt8]]? {
        work += text.count
        var lineIsEmpty = false
        while at < text.count {
            let byte = text[at]
            switch byte {
            case 0x0a where lineIsEmpty:
                guard endHead() else { return nil }
            case 0x0a: lineIsEmpty = true
            case 0x0d:
                if isBareReturn(at) { head.hasBareReturn = true }
            default: lineIsEmpty = false
            }
            if isBreak(byte) {
                if isBoundary(at) { beginPart() }
                at += 1
            } else if isNext("name"), at == 0 || !AccountParts.isWordByte(text[at - 1]) {
                readName()
            } else {
                if isNext("base64") || isNext("quoted-printable") || isNext("uue") || namesCharset() {
                    head.isEncoded = true
                }
                at += 1
            }
        }
        // Without an empty line there is a value only for those to whom a carriage return ends a line.
        return head.isNamed && head.hasBareReturn ? nil : values
    }

    /// At the end of an empty line. False: it is unclear.
    private mutating func endHead() -> Bool {
        if head.isUnclear { return false }
        if head.isNamed {
            guard values.count < AccountParts.mostValues, let value = content(from: at + 1) else { return false }
            values.append(value)
        }
        head = Head()
        isContent = true
        return true
    }

    /// What seems to be a boundary in a head is none to some.
    private mutating func beginPart() {
        guard isContent else { return }
        isContent = false
        head.isEncoded = false
        head.hasBareReturn = false
    }

    /// Nil: it is longer than any name, or has a carriage return by itself.
    private mutating func content(from start: Int) -> [UInt8]? {
        var end = start
        while end < text.count {
            if isBareReturn(end) { return nil }
            if isBoundary(end) { break }
            guard end - start < AccountName.longest else { return nil }
            end += 1
            work += 1
        }
        return Array(text[start..<end])
    }

    /// From `name` to behind its value.
    private mutating func readName() {
        at += 4
        skipBlanks()
        // RFC 5987 §3.2, RFC 2231 §3: `name*=`, `name*0=`, `name*0*=`.
        var isExtended = false
        while at < text.count, text[at] == UInt8(ascii: "*") || isExtended && AccountParts.isWordByte(text[at]) {
            isExtended = true
            at += 1
        }
        skipBlanks()
        guard at < text.count, text[at] == UInt8(ascii: "=") else { return }
        at += 1
        skipBlanks()
        var isQuoted = false
        while at < text.count, isQuote(text[at]) {
            isQuoted = true
            at += 1
        }
        var name: [UInt8] = []
        while at < text.count {
            let byte = text[at]
            if isFold(at) {
                at += 1
                continue
            }
            if isBreak(byte) || isQuote(byte) || !isQuoted && (byte <= 0x20 || byte == UInt8(ascii: ";")) { break }
            if byte != UInt8(ascii: "\\") { name.append(byte) }
            at += 1
        }
        // RFC 2047 §2, which has no business there, but is read by some.
        if isExtended || name.starts(with: Array("=?".utf8)) { head.isExtended = true }
        if reader.isField(name) { head.isNamed = true }
    }

    /// One that is not read here.
    private mutating func namesCharset() -> Bool {
        guard !head.isEncoded, isNext("charset") else { return false }
        let limit = min(at + AccountParts.longestCharset, text.count)
        var end = at
        while end < limit, !isBreak(text[end]), text[end] != UInt8(ascii: ";") { end += 1 }
        work += end - at
        return end == at + AccountParts.longestCharset || !AccountEncoding.isRead(Array(text[at..<end]))
    }

    private mutating func skipBlanks() {
        while at < text.count, text[at] == 0x20 || text[at] == 0x09 || isFold(at) { at += 1 }
    }

    /// Whether the line goes on in the next one (RFC 5322 §2.2.3).
    private func isFold(_ index: Int) -> Bool {
        var next = index
        if text[next] == 0x0d { next += 1 }
        guard next + 1 < text.count, text[next] == 0x0a else { return false }
        return text[next + 1] == 0x20 || text[next + 1] == 0x09
    }

    private func isBreak(_ byte: UInt8) -> Bool { byte == 0x0a || byte == 0x0d }

    /// PHP takes single ones, too.
    private func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }

    private func isBareReturn(_ index: Int) -> Bool {
        text[index] == 0x0d && (index + 1 == text.count || text[index + 1] != 0x0a)
    }

    private func isBoundary(_ index: Int) -> Bool {
        index >= 0 && index + 2 < text.count && isBreak(text[index]) && text[index + 1] == UInt8(ascii: "-")
            && text[index + 2] == UInt8(ascii: "-")
    }

    /// - Parameter word: in lower case.
    private mutating func isNext(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard text.count - at >= length else { return false }
        for index in 0..<length {
            guard text[at + index] | 0x20 == word.utf8Start[index] else { return false }
            work += 1
        }
        return true
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20)
    }
}
