import Wire

/// The frames of one direction of a WebSocket, whatever the pieces they arrive in. The first byte says who sends, the
/// second where the pieces end.
package final class WebSocketTarget: FuzzTarget {
    package static let name = "websocket"

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        guard input.count >= 2 else { return }
        let sender: WebSocketFrames.Sender = input[0] & 1 == 0 ? .client : .server
        let bytes = Array(input.dropFirst(2))
        var whole = WebSocketFrames(from: sender)
        try require(whole.take(bytes.span) == bytes.count, "all bytes are taken")
        var pieces = WebSocketFrames(from: sender)
        let length = 1 + Int(input[1]) % 7
        for start in stride(from: 0, to: bytes.count, by: length) {
            let piece = Array(bytes[start..<min(start + length, bytes.count)])
            try require(pieces.take(piece.span) == piece.count, "all bytes are taken")
        }
        try require(
            whole.isAtBoundary == pieces.isAtBoundary && whole.isClosed == pieces.isClosed,
            "frames that come in pieces are the same frames")
        let read = frames(in: bytes, sender)
        try checkAgainstWitness(whole, read)
        try checkBoundaries(bytes, sender, read.ends)
        try checkOurs(sender, input[1])
    }

    // MARK: The frames of others

    private struct Frames {
        enum End {
            /// Behind a whole frame.
            case boundary
            /// In the middle of one.
            case inside
            /// Behind a Close, with nothing more.
            case closed
            case broken
        }

        /// Where a frame may be followed by one of ours.
        var ends = [0]
        var end = End.boundary
    }

    /// RFC 6455 §5.2 with all bytes at hand.
    private func frames(in bytes: [UInt8], _ sender: WebSocketFrames.Sender) -> Frames {
        var read = Frames()
        var position = 0
        func ended(_ end: Frames.End) -> Frames {
            read.end = end
            return read
        }
        while position < bytes.count {
            let rest = bytes.count - position
            guard rest >= 2 else { return ended(.inside) }
            let first = bytes[position]
            let isMasked = bytes[position + 1] >= 128
            var length = UInt64(bytes[position + 1] & 127)
            var header = 2
            guard isMasked == (sender == .client) else { return ended(.broken) }
            let isControl = first & 8 != 0
            guard !isControl || first >= 128 && length <= 125 else { return ended(.broken) }
            if length >= 126 {
                let more = length == 126 ? 2 : 8
                let least: UInt64 = length == 126 ? 126 : 65_536
                guard rest >= 2 + more else { return ended(.inside) }
                length = bytes[position + 2..<position + 2 + more].reduce(0) { $0 << 8 | UInt64($1) }
                guard length >= least, length < 1 << 63 else { return ended(.broken) }
                header += more
            }
            header += isMasked ? 4 : 0
            guard UInt64(rest) >= UInt64(header) + length else { return ended(.inside) }
            position += header + Int(length)
            // Nothing may follow a Close (§5.5.1).
            if first & 15 == 8 { return ended(position == bytes.count ? .closed : .broken) }
            read.ends.append(position)
        }
        return read
    }

    private func checkAgainstWitness(_ whole: WebSocketFrames, _ read: Frames) throws(Finding) {
        try require(whole.isAtBoundary == (read.end == .boundary), "a boundary is where a whole frame has ended")
        try require(whole.isClosed == (read.end == .closed), "a Close is whole, and the last frame")
    }

    private func checkBoundaries(
        _ bytes: [UInt8], _ sender: WebSocketFrames.Sender, _ ends: [Int]
    ) throws(Finding) {
        for end in ends.prefix(16) {
            var frames = WebSocketFrames(from: sender)
            _ = frames.take(Array(bytes[..<end]).span)
            try require(frames.isAtBoundary, "a frame ends where it ends")
            try require(
                frames.take(Array(bytes[end...]).span, stoppingAtBoundary: true) == 0,
                "who waits for a boundary takes nothing at one")
        }
        guard let first = bytes.first, ends.count > 1 else { return }
        var frames = WebSocketFrames(from: sender)
        _ = frames.take([first].span)
        let taken = frames.take(Array(bytes.dropFirst()).span, stoppingAtBoundary: true)
        try require(taken + 1 == ends[1], "who waits for a boundary stops at the next")
    }

    // MARK: A frame of ours

    private func checkOurs(_ sender: WebSocketFrames.Sender, _ seed: UInt8) throws(Finding) {
        let close = WebSocketClose(code: 1_001, reason: String(repeating: "r", count: Int(seed) % 124))
        let frame = close.frame(from: sender, mask: UInt32(seed) &* 0x0101_0101)
        try require(frames(in: frame, sender).end == .closed, "a Close of ours is one")
        var frames = WebSocketFrames(from: sender)
        _ = frames.take(frame.span)
        try require(frames.isClosed, "a Close of ours is one to ourselves")
    }
}
