/// What spellings of an account's name have in common.
///
/// Two accounts that are taken for one share a count, which costs an honest user an attempt or two. One account that is
/// taken for two gives a guesser twice the attempts. So whatever a backend might overlook is overlooked here: white
/// space at both ends, upper and lower case, controls, bytes that are no UTF-8 and characters that are not seen, the
/// full-width forms of ASCII. Composed and decomposed accents stay apart.
enum AccountName {
    /// In bytes, in any spelling.
    static let longest = 1_024

    /// Nil: there is no name.
    static func normalised(_ bytes: [UInt8]) -> String? {
        var scalars: [Unicode.Scalar] = []
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let properties = scalar.properties
            let isUnseen = properties.isDefaultIgnorableCodePoint || properties.generalCategory == .control
            // U+FFFD stands for what is no UTF-8.
            if isUnseen && !properties.isWhitespace || scalar == "\u{fffd}" { continue }
            scalars.append(narrow(scalar))
        }
        let isSpace = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace }
        guard let first = scalars.firstIndex(where: { !isSpace($0) }),
            let last = scalars.lastIndex(where: { !isSpace($0) })
        else { return nil }
        var name = ""
        for scalar in scalars[first...last] { name += scalar.properties.lowercaseMapping }
        return name
    }

    /// U+FF01 to U+FF5E are ASCII as East Asian text has it.
    private static func narrow(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        guard (0xff01...0xff5e).contains(scalar.value) else { return scalar }
        return Unicode.Scalar(UInt8(scalar.value - 0xff01 + 0x21))
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
