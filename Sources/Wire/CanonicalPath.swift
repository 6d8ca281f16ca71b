/// The one form of a request path that is matched, counted and forwarded, so that no spelling walks past a rule. What
/// could mean two things to two programs is refused, never repaired; `docs/paths.md` lists every case for users.
package enum CanonicalPath {
    /// What is to be done with a path.
    package enum Scan: Hashable, Sendable {
        /// The path is its own canonical form.
        case canonical
        /// `write` gives the canonical form, which has this many bytes: fewer or more than the path.
        case rewrite(length: Int)
        /// To be refused with 400.
        case ambiguous(Ambiguity)
    }

    /// Why a path could mean two things, in words for diagnostics.
    package enum Ambiguity: String, CaseIterable, Sendable {
        case notAbsolute = "path does not begin with a slash"
        case emptySegment = "path has an empty segment"
        case dotSegment = "path has a dot segment"
        case encodedSeparator = "path has an encoded slash or backslash"
        case backslash = "path has a backslash"
        case parameter = "path has a semicolon"
        case controlByte = "path has a control byte"
        case doubleEncoding = "path is encoded twice"
        case badEncoding = "path has a percent sign without two hexadecimal digits"
        case badUTF8 = "path has encoded bytes that are not UTF-8"
        case illegalByte = "path has a byte that RFC 3986 does not allow"
    }

    /// Decides about a path: everything from the first slash of the target up to `?`. An empty one (`http://host`) has
    /// the canonical form `/` (RFC 9110 §4.2.3).
    package static func scan(_ path: Span<UInt8>) -> Scan {
        var hasLetters = false
        return scan(path, beyondASCII: &hasLetters)
    }

    /// - Parameter hasLetters: set when the path, unless it is ambiguous, has characters beyond ASCII.
    package static func scan(_ path: Span<UInt8>, beyondASCII hasLetters: inout Bool) -> Scan {
        guard path.count > 0 else { return .rewrite(length: 1) }
        guard path[0] == slash else { return .ambiguous(.notAbsolute) }
        var length = path.count
        var changed = false
        // Dots that the segment consists of; -1 when it holds anything else.
        var dots = 0
        var index = 1
        while true {
            let runStart = index
            while index < path.count, Characters.segment.contains(path[index]) { index += 1 }
            if index > runStart { dots = -1 }
            guard index < path.count else { break }
            let byte = path[index]
            switch byte {
            case slash:
                if dots == 0 { return .ambiguous(.emptySegment) }
                if dots == 1 || dots == 2 { return .ambiguous(.dotSegment) }
                dots = 0
                index += 1
            case dot:
                if dots >= 0 { dots += 1 }
                index += 1
            case percent:
                guard let value = octet(path, at: index) else { return .ambiguous(.badEncoding) }
                if let ambiguity = ambiguity(ofEncoded: value, in: path, at: index) { return .ambiguous(ambiguity) }
                if standsForItself(value) {
                    length -= 2
                    changed = true
                    dots = value == dot && dots >= 0 ? dots + 1 : -1
                    index += 3
                    continue
                }
                dots = -1
                let end = value < 0x80 ? index + 3 : endOfScalar(path, at: index, lead: value)
                guard let end else { return .ambiguous(.badUTF8) }
                if value >= 0x80 { hasLetters = true }
                while index < end {
                    if isLowercaseHex(path[index + 1]) || isLowercaseHex(path[index + 2]) { changed = true }
                    index += 3
                }
            case _ where isEncodedByUs(byte):
                length += 2
                changed = true
                dots = -1
                index += 1
            default: return .ambiguous(ambiguity(ofRaw: byte))
            }
        }
        if dots == 1 || dots == 2 { return .ambiguous(.dotSegment) }
        return changed ? .rewrite(length: length) : .canonical
    }

    /// Writes the canonical form of `path` to the front of `out` and returns its length.
    ///
    /// - Precondition: `scan(path)` gave `.rewrite(length)` and `out` has room for `length` bytes. `path` and `out` do
    ///   not overlap.
    package static func write(_ path: Span<UInt8>, into out: inout MutableSpan<UInt8>) -> Int {
        guard path.count > 0 else {
            out[0] = slash
            return 1
        }
        var index = 0
        var length = 0
        while index < path.count {
            let byte = path[index]
            if byte == percent, let value = octet(path, at: index) {
                if standsForItself(value) {
                    out[length] = value
                    length += 1
                } else {
                    length = writeEncoded(value, into: &out, at: length)
                }
                index += 3
            } else if isEncodedByUs(byte) {
                length = writeEncoded(byte, into: &out, at: length)
                index += 1
            } else {
                out[length] = byte
                length += 1
                index += 1
            }
        }
        return length
    }

    /// The canonical form of a path in all but the spellings that `PathRules` are about: slashes and semicolons stay
    /// encoded or bare as they were, a backslash is encoded, segments are what they are. Nil: it has anything else that is
    /// ambiguous. Allocates.
    static func canonicalButForUnusual(_ path: Span<UInt8>) -> [UInt8]? {
        guard path.count > 0, path[0] == slash else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(path.count)
        var index = 0
        func appendEncoded(_ value: UInt8) {
            out.append(percent)
            out.append(upperHex(value >> 4))
            out.append(upperHex(value & 15))
        }
        while index < path.count {
            let byte = path[index]
            switch byte {
            case percent:
                guard let value = octet(path, at: index) else { return nil }
                switch ambiguity(ofEncoded: value, in: path, at: index) {
                case nil, .encodedSeparator, .parameter: break
                default: return nil
                }
                if standsForItself(value) {
                    out.append(value)
                    index += 3
                    continue
                }
                guard let end = value < 0x80 ? index + 3 : endOfScalar(path, at: index, lead: value) else { return nil }
                while index < end {
                    guard let value = octet(path, at: index) else { return nil }
                    appendEncoded(value)
                    index += 3
                }
                continue
            case slash, dot, semicolon: out.append(byte)
            case _ where Characters.segment.contains(byte): out.append(byte)
            case _ where isEncodedByUs(byte) || byte == backslash: appendEncoded(byte)
            default: return nil
            }
            index += 1
        }
        return out
    }

    /// The canonical form of a path in the settings; nil when it is ambiguous. Allocates: not for requests.
    package static func canonical(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        switch scan(bytes.span) {
        case .canonical: return text
        case .ambiguous: return nil
        case .rewrite(let length):
            var buffer = [UInt8](repeating: 0, count: length)
            var out = buffer.mutableSpan
            _ = write(bytes.span, into: &out)
            return String(decoding: buffer, as: UTF8.self)
        }
    }

    /// Whether a query can be forwarded as it is: visible ASCII without `#`. Its meaning is the backend's, so nothing in
    /// it is decoded or changed, and a `%` that encodes nothing may stand.
    package static func isForwardable(query: Span<UInt8>) -> Bool {
        for index in query.indices {
            let byte = query[index]
            if byte <= 32 || byte >= 127 || byte == number { return false }
        }
        return true
    }
}

private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")
private let percent = UInt8(ascii: "%")
private let backslash = UInt8(ascii: "\\")
private let semicolon = UInt8(ascii: ";")
private let plus = UInt8(ascii: "+")
private let number = UInt8(ascii: "#")

/// The value of `%XX` at `index`; nil unless two hexadecimal digits follow.
private func octet(_ path: Span<UInt8>, at index: Int) -> UInt8? {
    guard index + 2 < path.count, let high = hexDigit(path[index + 1]), let low = hexDigit(path[index + 2]) else {
        return nil
    }
    return high << 4 | low
}

/// Whether the encoded byte is written bare in the canonical form.
///
/// RFC 3986 §6.2.2.2 says so of unreserved characters. Of the others that may stand in a segment, backends decode
/// `/users%3Alogin` to `/users:login` too, so leaving them would leave a way around a rule for the bare one. `+` is the
/// exception: a backend that decodes paths like forms would read a space.
private func standsForItself(_ byte: UInt8) -> Bool {
    byte == dot || byte != plus && Characters.segment.contains(byte)
}

/// Bytes that browsers send bare (WHATWG URL) though RFC 3986 wants them encoded. They mean the same either way.
private func isEncodedByUs(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "|"), UInt8(ascii: "^"): true
    default: false
    }
}

private func isLowercaseHex(_ digit: UInt8) -> Bool { digit >= 97 }

private func ambiguity(ofRaw byte: UInt8) -> CanonicalPath.Ambiguity {
    switch byte {
    case backslash: .backslash
    case semicolon: .parameter
    case 0..<32, 127: .controlByte
    default: .illegalByte
    }
}

/// Nil for an encoded byte that may stay or be decoded.
private func ambiguity(
    ofEncoded value: UInt8, in path: Span<UInt8>, at index: Int
) -> CanonicalPath.Ambiguity? {
    switch value {
    case slash, backslash: .encodedSeparator
    case semicolon: .parameter
    case 0..<32, 127: .controlByte
    case percent: isHexPair(path, at: index + 3) ? .doubleEncoding : nil
    default: nil
    }
}

/// Whether two hexadecimal digits stand at `index`, bare or encoded themselves: `%25%32%66` decodes to `%2f` as well.
private func isHexPair(_ path: Span<UInt8>, at index: Int) -> Bool {
    var next = index
    for _ in 0..<2 {
        guard next < path.count else { return false }
        var byte = path[next]
        next += 1
        if byte == percent, let value = octet(path, at: next - 1) {
            byte = value
            next += 2
        }
        if hexDigit(byte) == nil { return false }
    }
    return true
}

/// The end of a percent-encoded UTF-8 sequence that begins at `index` with `lead`, or nil if it is not one: overlong
/// forms, surrogates, values above U+10FFFF and C1 controls are none (RFC 3629 §3, Unicode table 3-7).
private func endOfScalar(_ path: Span<UInt8>, at index: Int, lead: UInt8) -> Int? {
    let count: Int
    var allowed: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    // U+0080 to U+009F are control characters.
    case 0xc2: (count, allowed) = (1, 0xa0...0xbf)
    case 0xc3...0xdf: count = 1
    case 0xe0: (count, allowed) = (2, 0xa0...0xbf)
    case 0xed: (count, allowed) = (2, 0x80...0x9f)
    case 0xe1...0xef: count = 2
    case 0xf0: (count, allowed) = (3, 0x90...0xbf)
    case 0xf1...0xf3: count = 3
    case 0xf4: (count, allowed) = (3, 0x80...0x8f)
    default: return nil
    }
    var next = index + 3
    for _ in 0..<count {
        guard next < path.count, path[next] == percent, let value = octet(path, at: next), allowed.contains(value)
        else {
            return nil
        }
        allowed = 0x80...0xbf
        next += 3
    }
    return next
}

private func writeEncoded(_ byte: UInt8, into out: inout MutableSpan<UInt8>, at index: Int) -> Int {
    out[index] = percent
    out[index + 1] = upperHex(byte >> 4)
    out[index + 2] = upperHex(byte & 15)
    return index + 3
}

private func upperHex(_ value: UInt8) -> UInt8 { value < 10 ? value + 48 : value + 55 }
