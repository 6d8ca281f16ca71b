/// Encodings of a whole body, or of a part of it. In one that is not read here an account has as many spellings as the
/// guesser likes, and each would be an account of its own.
enum AccountEncoding {
    /// In these ASCII is ASCII.
    private static let charsets: Set<String> = [
        "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252", "cp1252",
    ]
    /// The reader of JSON knows these by their zeros.
    private static let wideCharsets: Set<String> = ["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"]

    /// Whether a Content-Encoding says that there is none.
    static func isPlain(_ value: [UInt8]) -> Bool {
        value.split { $0 == UInt8(ascii: ",") || $0 <= 0x20 }
            .allSatisfy { String(decoding: $0, as: UTF8.self).lowercased() == "identity" }
    }

    /// Whether every charset that a Content-Type names, or could seem to name, is read here.
    static func isRead(_ contentType: [UInt8]) -> Bool {
        let text = String(decoding: contentType, as: UTF8.self).lowercased()
        let pieces = text.split(separator: "charset", omittingEmptySubsequences: false).dropFirst()
        let isJSON = text.contains("json")
        return pieces.allSatisfy { isRead(parameter: $0, isJSON: isJSON) }
    }

    /// - Parameter rest: what stands behind `charset`, in lower case.
    private static func isRead(parameter rest: Substring, isJSON: Bool) -> Bool {
        let rest = rest.drop { $0 == " " || $0 == "\t" }
        guard let sign = rest.first, sign != ";" else { return true }
        // `charset*=` and `charset*0=` (RFC 8187, RFC 2231) are understood by some.
        guard sign == "=" else { return false }
        let ends: Set<Character> = [";", ",", " ", "\t"]
        let name = rest.dropFirst().filter { $0 != "\"" && $0 != "'" && $0 != "\\" }
            .drop { ends.contains($0) }.prefix { !ends.contains($0) }
        return name.isEmpty || charsets.contains(String(name)) || isJSON && wideCharsets.contains(String(name))
    }
}
