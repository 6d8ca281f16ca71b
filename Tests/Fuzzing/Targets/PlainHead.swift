/// The head of a message read in the plainest way, as a witness: it shares nothing with the parser under test and knows
/// only lines, colons and one spelling of names. It is as lenient as the laxest reader behind us could be about what it
/// sees, so it throws where such a reader could see something else.
struct PlainHead {
    struct Field {
        /// In lower case; of a request also `-` for `_`, as backends that make variables of names read it.
        let name: String
        let value: [UInt8]
    }

    let startLine: [UInt8]
    let fields: [Field]
    /// Bytes up to the end of the empty line.
    let length: Int

    enum Kind { case request, response }

    /// - Parameter bytes: begin with the start line of a complete head.
    init(_ bytes: [UInt8], _ kind: Kind = .request) throws(Finding) {
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        var position = 0
        while true {
            guard position < bytes.count else { throw Finding("a head ends with an empty line") }
            let byte = bytes[position]
            position += 1
            if byte == 13 {
                try require(position < bytes.count && bytes[position] == 10, "no bare CR stands in a head")
                position += 1
                if line.isEmpty { break }
                lines.append(line)
                line = []
            } else {
                try require(byte == 9 || byte >= 32 && byte != 127, "no control byte stands in a head")
                line.append(byte)
            }
        }
        guard let first = lines.first else { throw Finding("a head begins with its start line") }
        var fields: [Field] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else {
                throw Finding("a field has a name and a colon")
            }
            let name = line[..<colon].map { byte in
                byte == UInt8(ascii: "_") && kind == .request ? UInt8(ascii: "-") : lowercased(byte)
            }
            try require(
                name.allSatisfy { $0 > 32 && $0 < 127 }, "a name is visible ASCII with the colon right behind it")
            let value = line[(colon + 1)...].drop(while: isSpace)
            let end = value.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? value.startIndex
            fields.append(Field(name: String(decoding: name, as: UTF8.self), value: Array(value[..<end])))
        }
        startLine = first
        self.fields = fields
        length = position
    }

    func count(_ name: String) -> Int { fields.count { $0.name == name } }

    /// Of the first field of that name.
    func value(_ name: String) -> [UInt8]? { fields.first { $0.name == name }?.value }

    func text(_ name: String) -> String? { value(name).map { String(decoding: $0, as: UTF8.self) } }

    /// What frames the body, by the fields alone.
    enum Framing: Equatable { case nothing, length(Int64), chunked }

    func framing() throws(Finding) -> Framing {
        let lengths = count("content-length")
        let codings = count("transfer-encoding")
        try require(lengths + codings <= 1, "at most one field frames the body")
        if codings == 1 {
            try require(text("transfer-encoding") == "chunked", "the only coding is chunked")
            return .chunked
        }
        guard let text = text("content-length") else { return .nothing }
        guard let length = Int64(text), "\(length)" == text, length >= 0 else {
            throw Finding("a length is a decimal number in its shortest form")
        }
        return .length(length)
    }
}

func lowercased(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte + 32 : byte }

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
