import Glibc
import Testing

/// One conversation of Tests/Conversations: what is sent, and what must come of it. README.md there describes the form.
struct Conversation: Sendable, CustomTestStringConvertible {
    var title: String
    /// File and line of the title.
    let place: String
    /// Words of the lines before the bytes: `peer`, `with`, `asked`.
    var settings: [[String]] = []
    var sent: [UInt8] = []
    var verdict = ""
    var answer: [UInt8]?
    /// Why the gateway does not keep to this yet.
    var knownIssue: String?

    var testDescription: String { title }

    /// All conversations of a folder, in the order of the files' names.
    static func all(in folder: String) -> [Conversation] {
        let folder = path(of: folder)
        return names(in: folder).flatMap { name -> [Conversation] in
            do throws(Mistake) {
                return try parse(text(of: "\(folder)/\(name)"), name: name)
            } catch {
                fatalError(error.text)
            }
        }
    }

    static func path(of folder: String) -> String {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        return "\(here)/Conversations/\(folder)"
    }

    struct Mistake: Error { let text: String }

    static func parse(_ text: String, name: String) throws(Mistake) -> [Conversation] {
        var all: [Conversation] = []
        var blocks: [String: [UInt8]] = [:]
        var block: String?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func mistake(_ text: String) -> Mistake { Mistake(text: "\(name):\(index + 1): \(text)") }
            func bytes(_ prefix: Int) throws(Mistake) -> [UInt8] {
                guard let bytes = unescaped(line.dropFirst(prefix)) else { throw mistake("unknown escape") }
                return bytes
            }
            if line.hasPrefix("== ") {
                block = nil
                all.append(Conversation(title: String(line.dropFirst(3)), place: "\(name):\(index + 1)"))
                continue
            }
            if line.hasPrefix("block ") {
                block = String(line.dropFirst(6))
                blocks[block!] = []
                continue
            }
            if let name = block {
                if line.hasPrefix("< ") { blocks[name]! += try bytes(2) } else { block = nil }
                continue
            }
            guard let last = all.indices.last else { continue }
            if line.hasPrefix("> ") {
                all[last].sent += try bytes(2)
            } else if line.hasPrefix("< ") {
                all[last].answer = (all[last].answer ?? []) + (try bytes(2))
            } else if line.hasPrefix("<< ") {
                guard let block = blocks[String(line.dropFirst(3))] else { throw mistake("no such block") }
                all[last].answer = (all[last].answer ?? []) + block
            } else if line.hasPrefix("= ") {
                all[last].verdict = String(line.dropFirst(2))
            } else if line.hasPrefix("known issue: ") {
                all[last].knownIssue = String(line.dropFirst(13))
            } else if line.hasPrefix("peer ") || line.hasPrefix("with ") || line.hasPrefix("asked ") {
                all[last].settings.append(line.split(separator: " ").map(String.init))
            } else if !line.isEmpty, !line.hasPrefix("#") {
                throw mistake("neither a comment nor a part of a conversation")
            }
        }
        return all
    }

    /// `\r \n \t \\`, `\xHH`, `\(300*a)` for repetition, `\[alice]` for a token; in tables also `\.` for CRLF and the
    /// beginnings of requests in `short`.
    static func unescaped(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "."): bytes += [13, 10]
            case UInt8(ascii: "H"): bytes += short["H"]!.utf8
            case UInt8(ascii: "G"): bytes += short["G"]!.utf8
            case UInt8(ascii: "P"): bytes += short["P"]!.utf8
            case UInt8(ascii: "C"): bytes += short["C"]!.utf8
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                guard let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
                rest = rest.dropFirst(2)
                bytes.append(value)
            case UInt8(ascii: "("):
                guard let star = rest.firstIndex(of: UInt8(ascii: "*")),
                    let close = rest[star...].firstIndex(of: UInt8(ascii: ")")),
                    let count = Int(String(Substring(rest[..<star]))),
                    let piece = unescaped(Substring(rest[rest.index(after: star)..<close]))
                else { return nil }
                for _ in 0..<count { bytes += piece }
                rest = rest[rest.index(after: close)...]
            case UInt8(ascii: "["):
                guard let close = rest.firstIndex(of: UInt8(ascii: "]")),
                    let token = token(named: String(Substring(rest[..<close])))
                else { return nil }
                bytes += Array(token.utf8)
                rest = rest[rest.index(after: close)...]
            default: return nil
            }
        }
        return bytes
    }

    private static let short = [
        "H": "Host: example.org\r\n",
        "G": "GET / HTTP/1.1\r\nHost: example.org\r\n",
        "P": "POST / HTTP/1.1\r\nHost: example.org\r\n",
        "C": "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]

    private static func token(named name: String) -> String? {
        switch name {
        case "alice": House.token()
        case "admin": House.token(#","roles":["admin"],"role":"admin""#)
        case "expired": Mint.token(#"{"sub":"alice","exp":1600000000}"#)
        case "forged": Mint.token(Mint.claims(), secret: "another secret of thirty-two bytes")
        case "unsigned":
            Mint.base64(Array(#"{"alg":"none"}"#.utf8)) + "." + Mint.base64(Array(Mint.claims().utf8)) + "."
        default: nil
        }
    }

    /// Bytes as a conversation writes them, one line per CRLF.
    static func shown(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case 13: text += "\\r"
            case 10: text += "\\n\n"
            case 9: text += "\\t"
            case 0x20...0x7e: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }

    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { fatalError("no folder \(folder)") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted()
    }

    static func text(of path: String) -> String {
        guard let file = fopen(path, "r") else { fatalError("cannot read \(path)") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
