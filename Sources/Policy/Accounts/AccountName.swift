/// What spellings of an account's name have in common.
///
/// Two accounts that are taken for one share a count, which costs an honest user an attempt or two. One account that is
/// taken for two gives a guesser twice the attempts. So whatever a backend might overlook is overlooked here: white
/// space at both ends, upper and lower case, controls, bytes that are no UTF-8 and characters that are not seen, accents,
/// and what a letter looks like (`AccountLetters`). A name with characters that backends might take for some others, and
/// nobody knows which, is none.
enum AccountName {
    /// In bytes, in any spelling.
    static let longest = 1_024

    /// Nil: there is no name, or none that can be told from others.
    static func normalised(_ bytes: [UInt8]) -> String? {
        guard case .name(let name) = read(bytes) else { return nil }
        return name
    }

    static func read(_ bytes: [UInt8]) -> AccountReader.Found {
        var name = String.UnicodeScalarView()
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if isUnseen(scalar) { continue }
            for small in scalar.properties.lowercaseMapping.unicodeScalars {
                guard let folded = AccountLetters.folded(small) else { return .several }
                name.append(contentsOf: folded.unicodeScalars)
            }
        }
        let isSpace = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace }
        guard let first = name.firstIndex(where: { !isSpace($0) }), let last = name.lastIndex(where: { !isSpace($0) })
        else { return .nothing }
        return .name(String(name[first...last]))
    }

    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        // What is no UTF-8.
        if scalar == "\u{fffd}" { return true }
        let properties = scalar.properties
        return !properties.isWhitespace
            && (properties.isDefaultIgnorableCodePoint || properties.generalCategory == .control)
    }

    /// Whether a member that is called `name` is the one that is configured as `wanted`, which is in lower case. Some
    /// readers of JSON overlook the case, and one takes U+017F for an s and U+212A for a k.
    static func isMember(_ name: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard name.count >= wanted.count else { return false }
        var index = 0
        for byte in wanted {
            guard index < name.count else { return false }
            var found = name[index]
            var length = 1
            if found == 0xc5, index + 1 < name.count, name[index + 1] == 0xbf {
                (found, length) = (UInt8(ascii: "s"), 2)
            } else if found == 0xe2, index + 2 < name.count, name[index + 1] == 0x84, name[index + 2] == 0xaa {
                (found, length) = (UInt8(ascii: "k"), 3)
            }
            if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(found) { found |= 0x20 }
            guard found == byte else { return false }
            index += length
        }
        return index == name.count
    }
}
