import Testing

@testable import Wire

/// Fields by their kind: `L` is Content-Length, `T` Transfer-Encoding.
private func collected(_ fields: [(Character, String)]) -> FramingFields {
    var framing = FramingFields()
    for (kind, value) in fields {
        let bytes = Array(value.utf8)
        if kind == "L" { framing.contentLength(bytes.span) } else { framing.transferEncoding(bytes.span) }
    }
    return framing
}

@Suite struct `The framing of a request` {
    private func settled(_ fields: (Character, String)..., minor: UInt8 = 1) -> Result<BodyFraming, FramingFault> {
        collected(fields).settleRequest(minorVersion: minor)
    }

    @Test func `is settled by one field`() {
        #expect(settled() == .success(.none))
        #expect(settled(("L", "0")) == .success(.none))
        #expect(settled(("L", "5")) == .success(.length(5)))
        #expect(settled(("L", "005")) == .success(.length(5)))
        #expect(settled(("L", "999999999999999999")) == .success(.length(999_999_999_999_999_999)))
        #expect(settled(("T", "chunked")) == .success(.chunked))
        #expect(settled(("T", "CHUNKED")) == .success(.chunked))
        #expect(settled(("L", "5"), minor: 0) == .success(.length(5)))
    }

    /// RFC 9112 §6.3 (3) and §11.2.
    @Test func `is a fault with both`() {
        #expect(settled(("L", "5"), ("T", "chunked")) == .failure(.bothLengthAndCoding))
        #expect(settled(("T", "chunked"), ("L", "0")) == .failure(.bothLengthAndCoding))
    }

    @Test(arguments: [
        "", " ", "+5", "-5", "5 5", "5,5", "5, 5", "0x5", "5.", "5e1", "\u{ff15}", "1000000000000000000", "five",
        "5\u{0}",
    ])
    func `is a fault with a length that is not one plain number`(value: String) {
        #expect(settled(("L", value)) == .failure(.contentLength))
    }

    @Test func `is a fault with two lengths, equal or not`() {
        #expect(settled(("L", "5"), ("L", "5")) == .failure(.contentLength))
        #expect(settled(("L", "5"), ("L", "6")) == .failure(.contentLength))
        #expect(settled(("L", "0"), ("L", "5")) == .failure(.contentLength))
    }

    /// RFC 9112 §6.3 (4): the end cannot be found.
    @Test(arguments: [
        "", "identity", "gzip", "chunked, gzip", "chunked,chunked", "chunked;a=b", "xchunked", "chunkedx",
        "\"chunked\"",
        ", chunked", "gzip,, chunked", "gzip, chunked,", "chunked,", "gzip chunked", "gzip;chunked", "chunked\u{b}",
    ])
    func `is a fault with a coding that does not end in chunked`(value: String) {
        #expect(settled(("T", value)) == .failure(.transferEncoding))
    }

    /// RFC 9112 §6.1: 501.
    @Test(arguments: ["gzip, chunked", "gzip,chunked", "gzip \t,\tChunked", "deflate, gzip, chunked"])
    func `is not known with a coding before chunked`(value: String) {
        #expect(settled(("T", value)) == .failure(.unknownCoding))
    }

    @Test func `is a fault with chunked twice`() {
        #expect(settled(("T", "chunked"), ("T", "chunked")) == .failure(.transferEncoding))
        #expect(settled(("T", "chunked"), ("T", "gzip, chunked")) == .failure(.transferEncoding))
    }

    /// RFC 9112 §6.1.
    @Test func `has no codings in HTTP/1.0`() {
        #expect(settled(("T", "chunked"), minor: 0) == .failure(.codingInOldVersion))
    }
}

@Suite struct `The framing of a response` {
    private func settled(
        _ fields: (Character, String)..., status: Int = 200, head: Bool = false, minor: UInt8 = 1
    ) -> Result<BodyFraming, FramingFault> {
        collected(fields).settleResponse(status: status, toHead: head, minorVersion: minor)
    }

    @Test func `is settled by one field, or ends with the connection`() {
        #expect(settled() == .success(.untilClose))
        #expect(settled(("L", "0")) == .success(.none))
        #expect(settled(("L", "5")) == .success(.length(5)))
        #expect(settled(("T", "chunked")) == .success(.chunked))
        #expect(settled(status: 401, minor: 0) == .success(.untilClose))
    }

    /// RFC 9112 §6.3 (1).
    @Test func `is none where no body may be, whatever the fields say`() {
        for status in [100, 103, 199, 204, 304] {
            #expect(settled(("L", "5"), status: status) == .success(.none), "\(status)")
            #expect(settled(("T", "chunked"), status: status) == .success(.none), "\(status)")
            #expect(settled(status: status) == .success(.none), "\(status)")
        }
        #expect(settled(("L", "5"), head: true) == .success(.none))
        #expect(settled(head: true) == .success(.none))
        #expect(settled(("L", "5"), status: 205) == .success(.length(5)))
    }

    @Test func `is a fault where that of a request is`() {
        #expect(settled(("L", "5"), ("T", "chunked")) == .failure(.bothLengthAndCoding))
        #expect(settled(("L", "5"), ("L", "5")) == .failure(.contentLength))
        #expect(settled(("T", "gzip, chunked")) == .failure(.unknownCoding))
        #expect(settled(("T", "chunked"), minor: 0) == .failure(.codingInOldVersion))
        #expect(settled(("L", "x"), status: 204) == .failure(.contentLength))
        #expect(settled(("L", "x"), head: true) == .failure(.contentLength))
    }

    @Test func `knows whether a body was announced`() {
        #expect(!collected([]).announcesBody)
        #expect(!collected([("L", "0")]).announcesBody)
        #expect(collected([("L", "5")]).announcesBody)
        #expect(collected([("T", "chunked")]).announcesBody)
    }
}

@Suite struct `The body reader` {
    private func pieces(_ framing: BodyFraming, _ text: String, from offset: Int = 0) -> [BodyReader.Piece] {
        var reader = BodyReader(framing)
        let bytes = Array(text.utf8)
        var pieces: [BodyReader.Piece] = []
        var position = offset
        while true {
            let piece = reader.read(bytes.span, from: position)
            pieces.append(piece)
            guard case .data(let range) = piece else { return pieces }
            position = range.upperBound
        }
    }

    @Test func `finds no body where there is none`() {
        #expect(pieces(.none, "GET") == [.end(next: 0)])
        #expect(pieces(.none, "") == [.end(next: 0)])
        #expect(pieces(.none, "abc", from: 2) == [.end(next: 2)])
    }

    @Test func `counts a length and leaves the rest`() {
        #expect(pieces(.length(3), "abcGET") == [.data(0..<3), .end(next: 3)])
        #expect(pieces(.length(3), "xxabcGET", from: 2) == [.data(2..<5), .end(next: 5)])
        #expect(pieces(.length(3), "abc") == [.data(0..<3), .end(next: 3)])
        #expect(pieces(.length(3), "ab") == [.data(0..<2), .needMore])
        #expect(pieces(.length(3), "") == [.needMore])
    }

    @Test func `goes on counting with the next bytes`() {
        var reader = BodyReader(.length(5))
        let first = Array("ab".utf8)
        let second = Array("cdeX".utf8)
        #expect(reader.read(first.span, from: 0) == .data(0..<2))
        #expect(reader.read(first.span, from: 2) == .needMore)
        #expect(reader.read(second.span, from: 0) == .data(0..<3))
        #expect(reader.read(second.span, from: 3) == .end(next: 3))
    }

    @Test func `takes chunks apart`() {
        #expect(
            pieces(.chunked, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET") == [.data(3..<5), .data(10..<11), .end(next: 18)])
        #expect(pieces(.chunked, "2\r\na") == [.data(3..<4), .needMore])
        #expect(pieces(.chunked, "x") == [.malformed])
    }

    @Test func `takes everything until the connection ends`() {
        #expect(pieces(.untilClose, "abc") == [.data(0..<3), .needMore])
        #expect(pieces(.untilClose, "") == [.needMore])
    }

    @Test func `has room for a length beyond memory`() {
        #expect(pieces(.length(1 << 40), "ab") == [.data(0..<2), .needMore])
    }
}
