/// The chunked coding read in the plainest way, with the whole body at hand and line by line along the grammar of RFC 9112
/// §7.1: a witness for the decoder, which goes byte by byte. It knows no limits but that of a size.
struct PlainChunks {
    private(set) var payload: [UInt8] = []
    /// Where the bytes behind the body begin.
    private(set) var end = 0

    private let bytes: [UInt8]
    private var position = 0

    /// Nil: malformed, or not complete.
    init?(_ bytes: [UInt8]) {
        self.bytes = bytes
        while true {
            guard let line = line(), let size = PlainChunks.size(line) else { return nil }
            if size == 0 { break }
            guard size <= bytes.count - position else { return nil }
            payload += bytes[position..<position + size]
            position += size
            guard let rest = self.line(), rest.isEmpty else { return nil }
        }
        while let line = line() {
            if line.isEmpty {
                end = position
                return
            }
            guard PlainChunks.isField(line) else { return nil }
        }
        return nil
    }

    /// Up to CRLF, which is taken; nil when something else ends it.
    private mutating func line() -> ArraySlice<UInt8>? {
        guard let stop = bytes[position...].firstIndex(where: { $0 == 13 || $0 == 10 }), bytes[stop] == 13,
            stop + 1 < bytes.count, bytes[stop + 1] == 10
        else {
            return nil
        }
        defer { position = stop + 2 }
        return bytes[position..<stop]
    }

    /// chunk-size [ chunk-ext ]
    private static func size(_ line: ArraySlice<UInt8>) -> Int? {
        let digits = line.prefix { isHex($0) }
        guard (1...16).contains(digits.count), let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
            areExtensions(line[digits.endIndex...])
        else {
            return nil
        }
        return size
    }

    /// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
    private static func areExtensions(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while !rest.isEmpty {
            rest = rest.drop(while: isSpace)
            guard rest.popFirst() == UInt8(ascii: ";") else { return false }
            rest = rest.drop(while: isSpace)
            let name = rest.prefix(while: isToken)
            guard !name.isEmpty else { return false }
            rest = rest[name.endIndex...]
            let behind = rest.drop(while: isSpace)
            guard behind.first == UInt8(ascii: "=") else { continue }
            rest = behind.dropFirst().drop(while: isSpace)
            if rest.first == UInt8(ascii: "\"") {
                guard let end = endOfQuotedString(rest) else { return false }
                rest = rest[end...]
            } else {
                let value = rest.prefix(while: isToken)
                guard !value.isEmpty else { return false }
                rest = rest[value.endIndex...]
            }
        }
        return true
    }

    private static func endOfQuotedString(_ text: ArraySlice<UInt8>) -> Int? {
        var index = text.startIndex + 1
        while index < text.endIndex {
            guard isText(text[index]) else { return nil }
            if text[index] == UInt8(ascii: "\"") { return index + 1 }
            if text[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < text.endIndex, isText(text[index]) else { return nil }
            }
            index += 1
        }
        return nil
    }

    private static func isField(_ line: ArraySlice<UInt8>) -> Bool {
        let name = line.prefix(while: isToken)
        guard !name.isEmpty, name.endIndex < line.endIndex, line[name.endIndex] == UInt8(ascii: ":") else {
            return false
        }
        return line[(name.endIndex + 1)...].allSatisfy(isText)
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...70).contains(byte) || (97...102).contains(byte)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }

    private static func isText(_ byte: UInt8) -> Bool { byte == 9 || byte >= 32 && byte != 127 }

    private static let tokens = Set(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    private static func isToken(_ byte: UInt8) -> Bool { tokens.contains(byte) }
}
