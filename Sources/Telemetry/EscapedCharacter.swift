/// One character of a text and how it is written inside a JSON string.
struct EscapedCharacter {
    enum Form {
        /// Up to four bytes, the first in the lowest place.
        case plain(UInt32, length: Int)
        /// `\` and a letter (RFC 8259 §7).
        case short(UInt8)
        /// `\u` and four digits.
        case unicode(UInt32)
    }

    let form: Form
    /// Bytes of the text that it stands for; at least 1.
    let consumed: Int

    /// Bytes in the JSON string.
    var width: Int {
        switch form {
        case .plain(_, let length): length
        case .short: 2
        case .unicode: 6
        }
    }

    init(_ text: Span<UInt8>, at index: Int) {
        let lead = text[index]
        switch lead {
        case 0x22, 0x5c: self.init(.short(lead), 1)
        case 0x08: self.init(.short(UInt8(ascii: "b")), 1)
        case 0x09: self.init(.short(UInt8(ascii: "t")), 1)
        case 0x0a: self.init(.short(UInt8(ascii: "n")), 1)
        case 0x0c: self.init(.short(UInt8(ascii: "f")), 1)
        case 0x0d: self.init(.short(UInt8(ascii: "r")), 1)
        case 0x00..<0x20, 0x7f: self.init(.unicode(UInt32(lead)), 1)
        case 0x20..<0x7f: self.init(.plain(UInt32(lead), length: 1), 1)
        default: self.init(multibyte: text, at: index)
        }
    }

    private init(_ form: Form, _ consumed: Int) {
        self.form = form
        self.consumed = consumed
    }

    /// RFC 3629 §4: overlong forms, surrogates and what lies above U+10FFFF are no UTF-8.
    private init(multibyte text: Span<UInt8>, at index: Int) {
        let lead = text[index]
        let length: Int
        let smallest: UInt32
        switch lead {
        case 0xc2...0xdf: (length, smallest) = (2, 0x80)
        case 0xe0...0xef: (length, smallest) = (3, 0x800)
        case 0xf0...0xf4: (length, smallest) = (4, 0x1_0000)
        default:
            self.init(.unicode(0xfffd), 1)
            return
        }
        var scalar = UInt32(lead) & (0x7f >> UInt32(length))
        var packed = UInt32(lead)
        for offset in 1..<length {
            guard index + offset < text.count, text[index + offset] & 0xc0 == 0x80 else {
                self.init(.unicode(0xfffd), 1)
                return
            }
            let byte = UInt32(text[index + offset])
            scalar = scalar << 6 | byte & 0x3f
            packed |= byte << UInt32(8 * offset)
        }
        switch scalar {
        case ..<smallest, 0xd800...0xdfff, 0x11_0000...:
            self.init(.unicode(0xfffd), 1)
        // C1 controls; line and paragraph separators; marks that turn the direction of what follows (CVE-2021-42574).
        case 0x80...0x9f, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069:
            self.init(.unicode(scalar), length)
        default:
            self.init(.plain(packed, length: length), length)
        }
    }
}
