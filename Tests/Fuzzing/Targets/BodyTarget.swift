import GatewayCore
import Wire

/// A body as it is read, relayed and framed anew, whatever the pieces it arrives in. The first byte chooses the framing and
/// what the other side is promised, the second a length and where the pieces end.
package final class BodyTarget: FuzzTarget {
    package static let name = "body"

    /// Behind it the limits of the decoder may apply, which the witness does not know.
    private static let longestForWitness = 8_192

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        guard input.count >= 2 else { return }
        let body = Array(input.dropFirst(2))
        let framing: BodyFraming =
            switch input[0] & 7 {
            case 0: .none
            case 1: .length(Int64(input[1]) + 1)
            case 2: .untilClose
            default: .chunked
            }
        let writesChunks = input[0] & 8 != 0
        let whole = try relay([body], framing, writesChunks)
        try checkWritten(whole, writesChunks)
        if framing == .chunked, body.count <= Self.longestForWitness { try checkAgainstWitness(whole, body) }
        let single = try relay(body.map { [$0] }, framing, writesChunks)
        try require(whole.means(single), "a body that comes byte by byte is the same body")
        let pieces = try relay(pieces(of: body, seed: input[1]), framing, writesChunks)
        try require(whole.means(pieces), "a body that comes in pieces is the same body")
        try checkWritten(pieces, writesChunks)
    }

    private func pieces(of body: [UInt8], seed: UInt8) -> [[UInt8]] {
        var state = body.checksum ^ UInt64(seed) | 1
        var pieces: [[UInt8]] = []
        var start = 0
        while start < body.count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            // Empty ones too: a read may bring nothing that is new.
            let length = min(Int(state % 24), body.count - start)
            pieces.append(Array(body[start..<start + length]))
            start += length
        }
        return pieces
    }

    private struct Relayed {
        enum End { case more, ended, malformed }

        var payload: [UInt8] = []
        var written: [UInt8] = []
        var end = End.more
        /// Bytes that belong to the body.
        var taken = 0

        func means(_ other: Relayed) -> Bool {
            payload == other.payload && end == other.end && (end != .ended || taken == other.taken)
        }
    }

    private func relay(
        _ pieces: [[UInt8]], _ framing: BodyFraming, _ writesChunks: Bool
    ) throws(Finding) -> Relayed {
        var relayed = Relayed()
        var reader = BodyReader(framing)
        var relay = BodyRelay(reading: framing, writingChunks: writesChunks)
        for piece in pieces.isEmpty ? [[]] : pieces {
            let read = try payload(of: piece, &reader)
            relayed.payload += read.payload
            // A worker's scratch has room for a read and a head; framing made anew must fit beside it.
            var out = ByteWriter(capacity: piece.count + 32)
            let parcel = relay.relay(piece.span, from: 0, into: &out)
            try require(!out.overflowed, "a piece that is framed anew is hardly longer than it was")
            relayed.written += out.bytes.array + piece[parcel.tail]
            let end: Relayed.End
            switch parcel.progress {
            case .more: end = .more
            case .malformed: end = .malformed
            case .ended(let next):
                try require(next == read.next && next <= piece.count, "reader and relay end at one place")
                end = .ended
                relayed.taken += next
            }
            try require(end == read.end, "reader and relay come to one verdict")
            try require(relay.transferred == Int64(relayed.payload.count), "payload is counted as it passes")
            relayed.end = end
            if end != .more { return relayed }
            relayed.taken += piece.count
        }
        return relayed
    }

    private func payload(
        of piece: [UInt8], _ reader: inout BodyReader
    ) throws(Finding) -> (payload: [UInt8], end: Relayed.End, next: Int) {
        var payload: [UInt8] = []
        var position = 0
        while true {
            switch reader.read(piece.span, from: position) {
            case .data(let range):
                try require(!range.isEmpty && range.lowerBound >= position, "a reader goes on")
                payload += piece[range]
                position = range.upperBound
            case .needMore: return (payload, .more, piece.count)
            case .end(let next): return (payload, .ended, next)
            case .malformed: return (payload, .malformed, position)
            }
        }
    }

    /// What the other side got means the payload, and ends only where the body did.
    private func checkWritten(_ relayed: Relayed, _ writesChunks: Bool) throws(Finding) {
        guard writesChunks else {
            try require(relayed.written == relayed.payload, "without chunks the payload is what is written")
            return
        }
        let closed = relayed.end == .ended ? relayed.written : relayed.written + Array("0\r\n\r\n".utf8)
        guard let read = PlainChunks(closed) else { throw Finding("what is written are chunks") }
        try require(read.end == closed.count, "what is written ends with the body")
        try require(read.payload == relayed.payload, "what is written is the payload")
    }

    private func checkAgainstWitness(_ relayed: Relayed, _ body: [UInt8]) throws(Finding) {
        guard let read = PlainChunks(body) else {
            try require(relayed.end != .ended, "what is no chunked body is not taken for one")
            return
        }
        try require(relayed.end == .ended && relayed.taken == read.end, "a chunked body ends where it ends")
        try require(relayed.payload == read.payload, "a chunked body is its payload")
    }
}
