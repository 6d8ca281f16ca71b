/// Whose login it is, as far as it says.
package enum AccountReading: Hashable, Sendable {
    case account(AccountMark)
    /// It names none, or none that can be read.
    case unknown
    /// It names several, and which of them its backend takes nobody knows here.
    case ambiguous
}

/// Finds the account in the body of a login, or in its query.
///
/// What a body is, its Content-Type says to backends that listen to it. A guesser writes there what he likes, so it is
/// not asked: each reader that a backend might have looks for the account, and all must find the same. Every reader is
/// lenient, since what it does not understand a backend might.
struct AccountReader {
    /// Member names, from the outside inwards, in lower case.
    let paths: [[[UInt8]]]
    /// The same as a form has them, with the signs that some take for one: `user.email`, `user[email]`.
    private let fields: [[UInt8]]

    /// All spellings of the account in one login together, in bytes.
    private static let longestSpellings = 4 * AccountName.longest

    /// - Parameter members: as they are configured, with dots between the names.
    init(_ members: [String]) {
        let names = members.map { $0.split(separator: ".").map { Array($0.lowercased().utf8) } }
        paths = names
        var fields: [[UInt8]] = []
        for name in names where !name.isEmpty {
            fields.append(Array(name.joined(separator: [UInt8(ascii: ".")])))
            guard name.count > 1 else { continue }
            fields.append(name[0] + name.dropFirst().flatMap { [UInt8(ascii: "[")] + $0 + [UInt8(ascii: "]")] })
        }
        self.fields = fields.map(AccountReader.folded)
    }

    enum Found: Equatable {
        case name(String)
        case nothing
        case several
    }

    /// - Parameters:
    ///   - query: without its question mark.
    ///   - body: as its backend gets it, without chunks.
    func read(query: [UInt8], body: [UInt8]) -> Found {
        guard var values = pairs(query) else { return .several }
        // Read as it is, too: zeros in the right places do not make a form another encoding.
        let decoded = AccountReader.utf8(body)
        for text in decoded.map({ [body, $0] }) ?? [body] {
            let first = text.first { $0 > 0x20 }
            if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") || first == UInt8(ascii: "/") {
                guard let members = AccountScanner.values(of: paths, in: text) else { return .several }
                values += members
            }
            var parts = AccountParts(text, of: self)
            guard let named = parts.read(), let pairs = pairs(text) else { return .several }
            assert(parts.work <= AccountReader.mostWork(of: text.count))
            values += pairs + named
        }
        return AccountReader.one(of: values)
    }

    /// How many bytes may be looked at to read the parts of so many.
    static func mostWork(of length: Int) -> Int { 4 * length + 32_768 }

    /// Names are compared as Unicode has it, which costs: what stands there twice is looked at once.
    private static func one(of values: [[UInt8]]) -> Found {
        var seen: Set<[UInt8]> = []
        var length = 0
        var found: String?
        for value in values where seen.insert(value).inserted {
            length += value.count
            guard value.count <= AccountName.longest, length <= AccountReader.longestSpellings else { return .several }
            switch AccountName.read(value) {
            case .nothing: continue
            case .several: return .several
            case .name(let name):
                // By their bytes: to `String`, a letter in two spellings is one, and to the hash it is not.
                if let found, !found.utf8.elementsEqual(name.utf8) { return .several }
                found = name
            }
        }
        return found.map { .name($0) } ?? .nothing
    }

    // MARK: Forms

    /// Of `application/x-www-form-urlencoded`. Some readers end a pair at a semicolon, too. Nil: a name or a value has
    /// escapes that only some undo.
    private func pairs(_ text: [UInt8]) -> [[UInt8]]? {
        let ampersand = UInt8(ascii: "&")
        let semicolon = UInt8(ascii: ";")
        guard let values = pairs(text, isSeparator: { $0 == ampersand }) else { return nil }
        guard text.contains(semicolon) else { return values }
        return pairs(text) { $0 == ampersand || $0 == semicolon }.map { values + $0 }
    }

    private func pairs(_ text: [UInt8], isSeparator: (UInt8) -> Bool) -> [[UInt8]]? {
        var values: [[UInt8]] = []
        for pair in text.split(whereSeparator: isSeparator) {
            guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = AccountReader.decoded(pair[..<equals])
            guard isField(name.bytes) else { continue }
            let value = AccountReader.decoded(pair[(equals + 1)...])
            guard !name.isWide, !value.isWide else { return nil }
            values.append(value.bytes)
        }
        return values
    }

    /// White space around a name, and what stands behind a zero, are nothing to some. PHP writes `_` for some signs, and
    /// an array of one is the one to some.
    func isField(_ name: [UInt8]) -> Bool {
        let visible = name.prefix { $0 != 0 }.drop { $0 <= 0x20 }
        guard let end = visible.lastIndex(where: { $0 > 0x20 }) else { return false }
        var trimmed = visible[...end]
        if isOneOf(trimmed) { return true }
        // Asked once, however many brackets there are.
        while trimmed.last == UInt8(ascii: "]"), let bracket = trimmed.lastIndex(of: UInt8(ascii: "[")),
            trimmed[(bracket + 1)...].dropLast().allSatisfy({ (0x30...0x39).contains($0) })
        {
            trimmed = trimmed[..<bracket]
        }
        return trimmed.endIndex <= end && isOneOf(trimmed)
    }

    private func isOneOf(_ name: ArraySlice<UInt8>) -> Bool {
        guard name.count <= AccountName.longest else { return false }
        let folded = AccountReader.folded(Array(name))
        return fields.contains { AccountName.isMember(folded, $0) }
    }

    private static func folded(_ name: [UInt8]) -> [UInt8] {
        name.map {
            switch $0 {
            case 0x20, UInt8(ascii: "."), UInt8(ascii: "["): UInt8(ascii: "_")
            default: $0
            }
        }
    }

    /// `%61` and `+`; what is no escape stands for itself. Wide: it has `%u0061`, which some readers undo.
    private static func decoded(_ text: ArraySlice<UInt8>) -> (bytes: [UInt8], isWide: Bool) {
        var out: [UInt8] = []
        var isWide = false
        var at = text.startIndex
        while at < text.endIndex {
            let byte = text[at]
            if byte == UInt8(ascii: "%"), at + 2 < text.endIndex, let high = digit(text[at + 1]),
                let low = digit(text[at + 2])
            {
                out.append(high << 4 | low)
                at += 3
            } else if byte == UInt8(ascii: "%"), at + 5 < text.endIndex, text[at + 1] | 0x20 == UInt8(ascii: "u"),
                let unit = unit(text[(at + 2)..<(at + 6)])
            {
                out += Array(String(Character(Unicode.Scalar(unit) ?? "\u{fffd}")).utf8)
                isWide = true
                at += 6
            } else {
                out.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
                at += 1
            }
        }
        return (out, isWide)
    }

    private static func unit(_ digits: ArraySlice<UInt8>) -> UInt16? {
        var value: UInt16 = 0
        for byte in digits {
            guard let digit = digit(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }

    // MARK: Encodings

    /// JSON may come as UTF-16 or UTF-32, which some backends notice by themselves: by a byte order mark, or by where
    /// the zeros are, since the first character is ASCII (RFC 4627 §3). Nil: it is in UTF-8 without a mark.
    private static func utf8(_ body: [UInt8]) -> [UInt8]? {
        if body.starts(with: [0xef, 0xbb, 0xbf]) { return Array(body.dropFirst(3)) }
        guard body.count >= 2 else { return nil }
        let head = Array(body.prefix(4)) + [1, 1]
        switch (head[0], head[1], head[2], head[3]) {
        case (0xff, 0xfe, 0, 0): return wide(body.dropFirst(4), unit: 4, isBig: false)
        case (0, 0, 0xfe, 0xff): return wide(body.dropFirst(4), unit: 4, isBig: true)
        case (0xff, 0xfe, _, _): return wide(body.dropFirst(2), unit: 2, isBig: false)
        case (0xfe, 0xff, _, _): return wide(body.dropFirst(2), unit: 2, isBig: true)
        case (0, 0, 0, _): return wide(body[...], unit: 4, isBig: true)
        case (_, 0, 0, 0): return wide(body[...], unit: 4, isBig: false)
        case (0, _, _, _): return wide(body[...], unit: 2, isBig: true)
        case (_, 0, _, _): return wide(body[...], unit: 2, isBig: false)
        default: return nil
        }
    }

    private static func wide(_ bytes: ArraySlice<UInt8>, unit: Int, isBig: Bool) -> [UInt8] {
        var units: [UInt32] = []
        var at = bytes.startIndex
        while at + unit <= bytes.endIndex {
            let piece = bytes[at..<at + unit]
            units.append((isBig ? Array(piece) : piece.reversed()).reduce(0) { $0 << 8 | UInt32($1) })
            at += unit
        }
        if unit == 2 { return Array(String(decoding: units.map { UInt16($0) }, as: UTF16.self).utf8) }
        return Array(String(decoding: units, as: UTF32.self).utf8)
    }
}
