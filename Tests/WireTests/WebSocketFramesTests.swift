import Testing

@testable import Wire

/// A frame as RFC 6455 §5.2 draws it.
private func frame(
    opcode: UInt8 = 2, final: Bool = true, masked: Bool = true, length: Int, form: Int? = nil
) -> [UInt8] {
    let mask: UInt8 = masked ? 0x80 : 0
    var bytes = [(final ? 0x80 : 0) | opcode]
    switch form ?? (length < 126 ? 7 : length < 65_536 ? 16 : 64) {
    case 7: bytes.append(mask | UInt8(length))
    case 16: bytes += [mask | 126, UInt8(length >> 8), UInt8(length & 255)]
    default: bytes += [mask | 127] + (0..<8).reversed().map { UInt8(length >> ($0 * 8) & 255) }
    }
    if masked { bytes += [0x81, 0x88, 0x8f, 0xff] }
    // Payload that looks like headers, so that whoever loses his place sees frames where there are none.
    return bytes + (0..<length).map { $0 % 2 == 0 ? 0x88 : 0x85 }
}

/// Whether the direction stands between two frames after each byte, as one letter: `|` boundary, `c` closed, `.` inside
/// or lost.
private func places(_ bytes: [UInt8], from sender: WebSocketFrames.Sender = .client) -> String {
    var frames = WebSocketFrames(from: sender)
    var text = ""
    for byte in bytes {
        #expect(frames.take([byte].span) == 1)
        text += frames.isAtBoundary ? "|" : frames.isClosed ? "c" : "."
    }
    return text
}

@Suite struct `The frames of a WebSocket` {
    @Test func `begin at a boundary`() {
        #expect(WebSocketFrames(from: .client).isAtBoundary)
    }

    @Test func `of a client end behind mask and payload`() {
        #expect(places(frame(length: 3)) == "........|")
        #expect(places(frame(length: 0)) == ".....|")
    }

    @Test func `of a server end behind the payload`() {
        #expect(places(frame(masked: false, length: 3), from: .server) == "....|")
        #expect(places(frame(masked: false, length: 0), from: .server) == ".|")
    }

    @Test func `follow one another`() {
        #expect(places(frame(length: 1) + frame(opcode: 9, length: 0) + frame(length: 2)) == "......|.....|.......|")
    }

    /// RFC 6455 §5.4: control frames may stand between the fragments of a message.
    @Test func `of a fragmented message have boundaries between them`() {
        #expect(places(frame(opcode: 1, final: false, length: 1) + frame(opcode: 0, length: 1)) == "......|......|")
    }

    @Test(arguments: [125, 126, 127, 255, 256, 65_535, 65_536, 70_000])
    func `are as long as they say`(length: Int) {
        for sender in [WebSocketFrames.Sender.client, .server] {
            let bytes = frame(masked: sender == .client, length: length)
            var frames = WebSocketFrames(from: sender)
            #expect(frames.take(bytes.span.extracting(0..<bytes.count - 1)) == bytes.count - 1)
            #expect(!frames.isAtBoundary)
            #expect(frames.take([0].span) == 1)
            #expect(frames.isAtBoundary)
        }
    }

    /// Wherever a read ends, the same is known.
    @Test func `may be split anywhere`() {
        let bytes =
            frame(opcode: 1, final: false, length: 5) + frame(opcode: 9, length: 125) + frame(opcode: 0, length: 300)
            + frame(length: 66_000, form: 64)
        for cut in Array(0...600) + [bytes.count - 1, bytes.count] {
            var frames = WebSocketFrames(from: .client)
            _ = frames.take(bytes.span.extracting(0..<cut))
            _ = frames.take(bytes.span.extracting(cut..<bytes.count))
            #expect(frames.isAtBoundary)
        }
    }

    @Test func `stop at the first boundary when asked to`() {
        let bytes = frame(length: 3) + frame(length: 2)
        var frames = WebSocketFrames(from: .client)
        #expect(frames.take(bytes.span, stoppingAtBoundary: true) == 0)
        #expect(frames.take([bytes[0]].span) == 1)
        #expect(frames.take(bytes.span.extracting(1..<bytes.count), stoppingAtBoundary: true) == 8)
        #expect(frames.isAtBoundary)
    }

    /// RFC 6455 §5.5.1: nothing follows a Close, so none of ours may either.
    @Test func `have no boundary behind a Close`() {
        #expect(places(frame(opcode: 8, length: 2)) == ".......c")
        #expect(places(frame(opcode: 8, masked: false, length: 0), from: .server) == ".c")
        #expect(places(frame(opcode: 8, length: 0) + frame(length: 0)) == ".....c......")
    }

    @Test func `are lost when a client does not mask or a server does`() {
        #expect(places(frame(masked: false, length: 2) + frame(length: 0)) == "..........")
        #expect(places(frame(length: 0) + frame(masked: false, length: 0), from: .server) == "........")
    }

    @Test func `are lost when a length is written longer than it must be`() {
        #expect(!places(frame(length: 125, form: 16)).contains("|"))
        #expect(!places(frame(length: 65_535, form: 64)).contains("|"))
    }

    @Test func `are lost when a length has its highest bit set`() {
        #expect(places([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]) == "..............")
    }

    /// RFC 6455 §5.5.
    @Test func `are lost when a control frame is long or in pieces`() {
        #expect(!places(frame(opcode: 9, length: 126)).contains("|"))
        #expect(!places(frame(opcode: 9, final: false, length: 0)).contains("|"))
    }

    /// Compression sets a reserved bit (RFC 7692 §6); what the bits and opcodes mean is the endpoints' affair.
    @Test func `of extensions are counted like others`() {
        #expect(places([0xc2, 0x81, 1, 2, 3, 4, 5]) == "......|")
        #expect(places([0x83, 0x80, 1, 2, 3, 4]) == ".....|")
    }

    /// Bytes at random in random pieces: nothing traps, everything is taken, pieces make no difference.
    @Test func `take whatever comes`() {
        var generator = SystemRandomNumberGenerator()
        for round in 0..<2_000 {
            let sender: WebSocketFrames.Sender = round % 2 == 0 ? .client : .server
            var bytes = (0..<64).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            if round % 3 == 0 { bytes[1] = sender == .client ? 0x80 | bytes[1] & 31 : bytes[1] & 31 }
            var whole = WebSocketFrames(from: sender)
            #expect(whole.take(bytes.span) == 64)
            var pieces = WebSocketFrames(from: sender)
            var position = 0
            while position < 64 {
                let next = min(64, position + Int.random(in: 1...9, using: &generator))
                #expect(pieces.take(bytes.span.extracting(position..<next)) == next - position)
                position = next
            }
            #expect(pieces.isAtBoundary == whole.isAtBoundary)
            #expect(pieces.isClosed == whole.isClosed)
        }
    }
}

@Suite struct `A Close of ours` {
    @Test func `to a client is bare`() {
        #expect(
            WebSocketClose(code: 1001, reason: "going away").frame(from: .server)
                == [0x88, 12, 0x03, 0xe9] + Array("going away".utf8))
    }

    @Test func `to a server is masked`() {
        #expect(
            WebSocketClose(code: 1008, reason: "ab").frame(from: .client, mask: 0x0102_0304)
                == [0x88, 0x84, 1, 2, 3, 4, 0x03 ^ 1, 0xf0 ^ 2, UInt8(ascii: "a") ^ 3, UInt8(ascii: "b") ^ 4])
    }

    @Test func `is a frame that closes`() {
        for sender in [WebSocketFrames.Sender.client, .server] {
            var frames = WebSocketFrames(from: sender)
            _ = frames.take(WebSocketClose(code: 1008, reason: "token expired").frame(from: sender).span)
            #expect(frames.isClosed)
        }
    }
}
