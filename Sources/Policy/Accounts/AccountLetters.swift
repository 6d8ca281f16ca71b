/// What a letter stands for to backends that fold more than its case: without marks (collations of databases), and without
/// the look that it was given for its own sake (NFKC, which Django makes). Unicode's own tables are kept to itself by the
/// standard library, but not the names of characters, and those say the same.
enum AccountLetters {
    /// Nil: what backends make of it is not known here.
    /// - Parameter scalar: in lower case.
    static func folded(_ scalar: Unicode.Scalar) -> String? {
        if scalar.isASCII { return String(Character(scalar)) }
        if scalar.properties.isWhitespace { return " " }
        if isMark(scalar) { return "" }
        if let known = exceptions[scalar.value] { return known }
        // Small letters of Cherokee are the younger ones, so that folding makes large ones.
        if (0xab70...0xabbf).contains(scalar.value) || (0x13f8...0x13fd).contains(scalar.value) {
            return String(Character(scalar))
        }
        if isComposing(scalar) { return nil }
        if let known = digits(scalar) ?? scalar.properties.name.flatMap(letters) { return known }
        return scalar.properties.changesWhenNFKCCaseFolded ? nil : String(Character(scalar))
    }

    /// Accents that stand behind their letter.
    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0300...0x036f, 0x1ab0...0x1aff, 0x1dc0...0x1dff, 0x20d0...0x20ff, 0xfe20...0xfe2f: true
        default: false
        }
    }

    /// Pieces of letters of Korean, Japanese and Arabic, that nobody types one by one.
    private static func isComposing(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0653...0x0655, 0x1100...0x11ff, 0x3099...0x309a, 0xa960...0xa97f, 0xd7b0...0xd7ff: true
        default: false
        }
    }

    private static func digits(_ scalar: Unicode.Scalar) -> String? {
        guard let value = scalar.properties.numericValue, value >= 0, value <= 50, value == value.rounded() else {
            return nil
        }
        let name = scalar.properties.name ?? ""
        switch scalar.properties.numericType {
        case .decimal?, .digit?: break
        default: guard name.hasPrefix("CIRCLED NUMBER ") else { return nil }
        }
        if name.hasPrefix("PARENTHESIZED ") { return "(\(Int(value)))" }
        return name.hasSuffix(" FULL STOP") ? "\(Int(value))." : "\(Int(value))"
    }

    // MARK: By name

    private static let looks: Set<Substring> = [
        "LATIN", "MATHEMATICAL", "CIRCLED", "NEGATIVE", "SQUARED", "FULLWIDTH", "MODIFIER", "SUPERSCRIPT", "SUBSCRIPT",
        "SCRIPT", "DOUBLE-STRUCK", "BLACK-LETTER", "PARENTHESIZED",
    ]

    /// `LATIN SMALL LETTER E WITH ACUTE`, `MATHEMATICAL BOLD SMALL A`, `LATIN SMALL LIGATURE FI`; and letters of Greek and
    /// Cyrillic without what they are `WITH`.
    private static func letters(_ name: String) -> String? {
        var words = name.split(separator: " ")[...]
        guard let look = words.first else { return nil }
        if let with = words.firstIndex(of: "WITH") { words = words[..<with] }
        guard looks.contains(look) else { return plain[words.joined(separator: " ")] }
        guard let last = words.last, let kind = words.dropLast().last else { return nil }
        let isLetter = kind == "LETTER" || kind == "SMALL" || kind == "CAPITAL" || kind == "LIGATURE"
        guard isLetter, last.utf8.count <= (kind == "LIGATURE" ? 3 : 2) else { return nil }
        let letters = last.lowercased()
        return look == "PARENTHESIZED" ? "(\(letters))" : letters
    }

    /// Letters of Greek and Cyrillic without marks, by their names.
    private static let plain: [String: String] = {
        var names: [String: String] = [:]
        for value in Array(0x03b1...0x03c9) + Array(0x0430...0x044f) {
            guard let scalar = Unicode.Scalar(UInt32(value)), let name = scalar.properties.name, value != 0x0439 else {
                continue
            }
            names[name] = String(Character(scalar))
        }
        return names
    }()

    private static let exceptions: [UInt32: String] = [
        // Latin letters whose names do not say it: ß ı ſ ª º and two ligatures of ſ, Planck's constant.
        0x00df: "ss", 0x0131: "i", 0x017f: "s", 0x00aa: "a", 0x00ba: "o", 0xfb05: "st", 0x1e9b: "s", 0x210e: "h",
        0x0237: "j", 0x1d6a4: "i", 0x1d6a5: "j",
        0x0140: "l\u{b7}", 0x1e9a: "a\u{2be}",
        // Greek: µ ς. Armenian: և. Cyrillic: й ё ї ў ѓ ќ.
        0x00b5: "\u{3bc}", 0x03c2: "\u{3c3}", 0x0587: "\u{565}\u{582}", 0x0439: "\u{438}", 0x0451: "\u{435}",
        0x0457: "\u{456}", 0x045e: "\u{443}", 0x0453: "\u{433}", 0x045c: "\u{43a}",
        // Thai and Lao AM.
        0x0e33: "\u{e4d}\u{e32}", 0x0eb3: "\u{ecd}\u{eb2}",
        // Letters of India with a dot below, which are typed in both ways.
        0x0958: "\u{915}\u{93c}", 0x0959: "\u{916}\u{93c}", 0x095a: "\u{917}\u{93c}", 0x095b: "\u{91c}\u{93c}",
        0x095c: "\u{921}\u{93c}", 0x095d: "\u{922}\u{93c}", 0x095e: "\u{92b}\u{93c}", 0x095f: "\u{92f}\u{93c}",
        0x09dc: "\u{9a1}\u{9bc}", 0x09dd: "\u{9a2}\u{9bc}", 0x09df: "\u{9af}\u{9bc}", 0x0a33: "\u{a32}\u{a3c}",
        0x0a36: "\u{a38}\u{a3c}", 0x0a59: "\u{a16}\u{a3c}", 0x0a5a: "\u{a17}\u{a3c}", 0x0a5b: "\u{a1c}\u{a3c}",
        0x0a5e: "\u{a2b}\u{a3c}", 0x0b5c: "\u{b21}\u{b3c}", 0x0b5d: "\u{b22}\u{b3c}",
    ]
}
