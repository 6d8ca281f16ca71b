import TestSupport

/// Changes requests by one step or two of the kind that tells parsers apart.
struct Mutator {
    private var generator: SeededGenerator
    private let corpus: [[UInt8]]

    /// - Parameter corpus: requests whose lines are mixed into others.
    init(seed: UInt64, corpus: [[UInt8]]) {
        generator = SeededGenerator(seed: seed)
        self.corpus = corpus
    }

    mutating func mutate(_ original: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0..<(Int.random(in: 0..<4, using: &generator) == 0 ? 2 : 1) { step(&bytes) }
        return bytes
    }

    private mutating func step(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: bytes[place] = Mutator.telling.randomElement(using: &generator)!
        case 1: bytes.insert(Mutator.telling.randomElement(using: &generator)!, at: place)
        case 2: bytes.remove(at: place)
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + 4))
        case 4: bytes.insert(contentsOf: Mutator.words.randomElement(using: &generator)!, at: place)
        case 5: bytes.insert(contentsOf: Mutator.lines.randomElement(using: &generator)!, at: lineStart(bytes, place))
        case 6: bytes.insert(contentsOf: line(bytes, place), at: lineStart(bytes, place))
        case 7:
            let other = corpus.randomElement(using: &generator)!
            guard !other.isEmpty else { return }
            let from = Int.random(in: 0..<other.count, using: &generator)
            bytes.insert(contentsOf: line(other, from), at: lineStart(bytes, place))
        case 8: bytes.removeSubrange(place...)
        default: bytes[place] ^= 0x20
        }
    }

    /// Where the line begins that `place` is in.
    private func lineStart(_ bytes: [UInt8], _ place: Int) -> Int {
        bytes[..<place].lastIndex(of: 10).map { $0 + 1 } ?? 0
    }

    private func line(_ bytes: [UInt8], _ place: Int) -> [UInt8] {
        let end = bytes[place...].firstIndex(of: 10).map { $0 + 1 } ?? bytes.count
        return Array(bytes[lineStart(bytes, place)..<end])
    }

    private static let telling: [UInt8] = [
        0, 1, 8, 9, 10, 11, 12, 13, 27, 32, 34, 35, 37, 40, 43, 44, 45, 46, 47, 48, 49, 57, 58, 59, 61, 63, 64, 65, 70,
        71, 92, 95, 97, 102, 103, 120, 127, 128, 160, 194, 255,
    ]

    private static let words: [[UInt8]] = [
        "\r\n", "\n", "\r", "\r\n\r\n", "\r\r\n", "\n\n", " ", "\t", "  ", " \t", ",", ", ,", ";", ";a=b",
        ";a=\"b\\\"c\"",
        "\"", "\\", "+", "-1", "0x", "0", "00", "a", "F", "1e2", "chunked", "chunked, ", "gzip, ", "identity", "%00",
        "%0d%0a",
        "HTTP/1.0", "HTTP/1.1", "HTTP/1.2", "HTTP/2.0", "http://b/", "*", "@", "//", "\u{0b}", "\u{a0}", "\u{212a}",
    ].map { Array($0.utf8) }

    private static let lines: [[UInt8]] = [
        "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Content-Length: 05\r\n", "Content-Length: 5, 5\r\n",
        "Content-Length : 5\r\n", "Content-Length:\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity\r\n", "Transfer-Encoding:\tchunked \r\n", "Transfer_Encoding: chunked\r\n",
        "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: upgrade, x-a\r\n", "Upgrade: websocket\r\n",
        "X-A: b\r\n", "X-A:b\t \r\n", " folded\r\n", "\tfolded\r\n", "no colon\r\n", ": no name\r\n", "Host: b\r\n",
        "Expect: 100-continue\r\n", "Trailer: x\r\n", "TE: trailers\r\n", "\r\n", "0\r\n", "0\r\n\r\n",
        "5\r\nhello\r\n",
        "5;ext\r\nhello\r\n", "05\r\nhello\r\n", "5 \r\nhello\r\n", "5\nhello\r\n", "g\r\n", "ffffffffffffffff1\r\n",
        "GET /second HTTP/1.1\r\nHost: example.org\r\n\r\n",
    ].map { Array($0.utf8) }
}
