import Testing

@testable import GatewayCore
@testable import Wire

/// What a body became on the other side.
private struct Relayed: Equatable {
    enum End: Equatable { case complete, waiting, malformed }

    var sent = ""
    /// What stood behind the body.
    var rest = ""
    var end: End
    var transferred: Int64
}

/// Relays the pieces one after another as a connection would: what a step composes goes out first, then the tail.
private func relay(
    _ framing: BodyFraming, asChunks: Bool, _ pieces: [[UInt8]], closes: Bool = false
) -> Relayed {
    var relay = BodyRelay(reading: framing, writingChunks: asChunks)
    var sent: [UInt8] = []
    func relayed(_ end: Relayed.End, rest: [UInt8] = []) -> Relayed {
        Relayed(
            sent: String(decoding: sent, as: UTF8.self), rest: String(decoding: rest, as: UTF8.self), end: end,
            transferred: relay.transferred)
    }
    for (number, piece) in pieces.enumerated() {
        var out = ByteWriter(capacity: 4_096)
        let parcel = relay.relay(piece.span, from: 0, into: &out)
        out.bytes.withUnsafeBufferPointer { sent += $0 }
        sent += piece[parcel.tail]
        switch parcel.progress {
        case .more: continue
        case .malformed: return relayed(.malformed)
        case .ended(let next):
            return relayed(.complete, rest: Array(piece[next...]) + pieces[(number + 1)...].joined())
        }
    }
    var out = ByteWriter(capacity: 16)
    let isEnd = closes && relay.endAtClose(into: &out)
    out.bytes.withUnsafeBufferPointer { sent += $0 }
    return relayed(isEnd ? .complete : .waiting)
}

private func relay(_ framing: BodyFraming, asChunks: Bool, _ text: String..., closes: Bool = false) -> Relayed {
    relay(framing, asChunks: asChunks, text.map { Array($0.utf8) }, closes: closes)
}

/// The payload of a chunked body and nothing behind it, to compare what does not depend on where the input was cut.
private func payload(_ chunks: String) -> String? {
    var decoder = ChunkDecoder()
    let bytes = Array(chunks.utf8)
    var payload: [UInt8] = []
    var offset = 0
    while true {
        switch decoder.decode(bytes.span, from: offset) {
        case .data(let range):
            payload += bytes[range]
            offset = range.upperBound
        case .end(let next): return next == bytes.count ? String(decoding: payload, as: UTF8.self) : nil
        case .needMore, .malformed: return nil
        }
    }
}

@Suite struct `A relayed body` {
    private let chunked =
        "5;name=\"a\\\"b\"\r\nhello\r\n006\r\n world\r\n0\r\nX-Trailer: dropped\r\n\r\nGET /next"

    /// Only bytes that go through as they are, and never the last ones.
    @Test func `is spliced in its middle only, and only when it is large`() {
        func spliceable(_ framing: BodyFraming, asChunks: Bool = false) -> Int {
            BodyRelay(reading: framing, writingChunks: asChunks).spliceable
        }
        #expect(spliceable(.length(256 << 10)) == 192 << 10)
        #expect(spliceable(.length((256 << 10) - 1)) == 0)
        #expect(spliceable(.length(.max)) == Int.max - (64 << 10))
        #expect(spliceable(.length(1 << 30), asChunks: true) == 0)
        #expect(spliceable(.none) == 0 && spliceable(.chunked) == 0 && spliceable(.untilClose) == 0)
    }

    @Test func `ends where its length says, however much of it was spliced`() {
        var relay = BodyRelay(reading: .length(300_000), writingChunks: false)
        var out = ByteWriter(capacity: 16)
        let head = relay.relay([UInt8](repeating: 1, count: 1_000).span, from: 0, into: &out)
        #expect(head.progress == .more && relay.spliceable == 299_000 - 65_536)
        relay.splice(200_000)
        #expect(relay.spliceable == 0 && relay.transferred == 201_000)
        let end = relay.relay([UInt8](repeating: 2, count: 99_003).span, from: 0, into: &out)
        #expect(end.progress == .ended(next: 99_000) && end.tail == 0..<99_000)
        #expect(relay.transferred == 300_000)
    }

    @Test func `of known length goes through as it is`() {
        #expect(
            relay(.length(5), asChunks: false, "helloGET")
                == Relayed(sent: "hello", rest: "GET", end: .complete, transferred: 5))
        #expect(relay(.none, asChunks: false, "GET") == Relayed(rest: "GET", end: .complete, transferred: 0))
        #expect(relay(.length(5), asChunks: false, "hel") == Relayed(sent: "hel", end: .waiting, transferred: 3))
        #expect(
            relay(.length(5), asChunks: false, "hel", "loX")
                == Relayed(sent: "hello", rest: "X", end: .complete, transferred: 5))
    }

    @Test func `in chunks is cut anew, without extensions and trailers`() {
        #expect(
            relay(.chunked, asChunks: true, chunked)
                == Relayed(
                    sent: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", rest: "GET /next", end: .complete, transferred: 11))
    }

    @Test func `in chunks is the same wherever it is cut`() {
        let bytes = Array(chunked.utf8)
        for cut in 0...bytes.count {
            let relayed = relay(.chunked, asChunks: true, [Array(bytes[..<cut]), Array(bytes[cut...])])
            #expect(payload(relayed.sent) == "hello world", "cut at \(cut)")
            #expect(relayed.rest == "GET /next", "cut at \(cut)")
            #expect(relayed.end == .complete && relayed.transferred == 11, "cut at \(cut)")
        }
        let relayed = relay(.chunked, asChunks: true, bytes.map { [$0] })
        #expect(payload(relayed.sent) == "hello world")
        #expect(relayed.rest == "GET /next")
    }

    /// For a client of HTTP/1.0: the pieces joined, nothing between them.
    @Test func `in chunks is unwrapped wherever it is cut`() {
        let bytes = Array(chunked.utf8)
        let expected = Relayed(sent: "hello world", rest: "GET /next", end: .complete, transferred: 11)
        for cut in 0...bytes.count {
            let relayed = relay(.chunked, asChunks: false, [Array(bytes[..<cut]), Array(bytes[cut...])])
            #expect(relayed == expected, "cut at \(cut)")
        }
        #expect(relay(.chunked, asChunks: false, bytes.map { [$0] }) == expected)
    }

    @Test func `that ends with the connection is put into chunks`() {
        #expect(
            relay(.untilClose, asChunks: true, "hello", " world", closes: true)
                == Relayed(sent: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", end: .complete, transferred: 11))
        #expect(
            relay(.untilClose, asChunks: true, [], closes: true)
                == Relayed(sent: "0\r\n\r\n", end: .complete, transferred: 0))
    }

    @Test func `that ends with the connection goes through as it is for HTTP/1.0`() {
        #expect(
            relay(.untilClose, asChunks: false, "hello", closes: true)
                == Relayed(sent: "hello", end: .complete, transferred: 5))
    }

    /// The end of the connection is the end of no other body: a last chunk made up would make half a body whole.
    @Test func `is not complete when the connection ends before it`() {
        #expect(
            relay(.length(5), asChunks: false, "hel", closes: true)
                == Relayed(sent: "hel", end: .waiting, transferred: 3))
        for unfinished in ["5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\n\r"] {
            #expect(
                relay(.chunked, asChunks: true, unfinished, closes: true)
                    == Relayed(sent: "5\r\nhello\r\n", end: .waiting, transferred: 5))
        }
    }

    @Test func `stops at the byte that is wrong and makes up no end`() {
        #expect(
            relay(.chunked, asChunks: true, "5\r\nhello\r\nX")
                == Relayed(sent: "5\r\nhello\r\n", end: .malformed, transferred: 5))
        #expect(
            relay(.chunked, asChunks: false, "5\r\nhelloX")
                == Relayed(sent: "hello", end: .malformed, transferred: 5))
    }

    /// What is composed has room for more than one read; chunks of one byte must not need it.
    @Test func `in the smallest chunks is not longer than what came`() {
        let text = String(repeating: "1\r\nx\r\n", count: 500)
        #expect(relay(.chunked, asChunks: true, text) == Relayed(sent: text, end: .waiting, transferred: 500))
    }

    @Test func `begins behind a head that is composed already`() {
        var relay = BodyRelay(reading: .chunked, writingChunks: true)
        var out = ByteWriter(capacity: 100)
        out.append("HEAD ")
        let input = Array("headers3\r\nabc\r\n".utf8)
        let parcel = relay.relay(input.span, from: 7, into: &out)
        #expect(parcel.progress == .more)
        #expect(parcel.tail.isEmpty)
        let text = out.bytes.text
        #expect(text == "HEAD 3\r\nabc\r\n")
    }

    @Test func `of known length need not be copied`() {
        var relay = BodyRelay(reading: .length(5), writingChunks: false)
        var out = ByteWriter(capacity: 100)
        let input = Array("head..helloGET".utf8)
        let parcel = relay.relay(input.span, from: 6, into: &out)
        let copied = out.count
        #expect(copied == 0)
        #expect(parcel.tail == 6..<11)
        #expect(parcel.progress == .ended(next: 11))
    }
}
