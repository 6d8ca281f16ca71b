/// Finds a message's body in the bytes as they arrive, and where it ends.
package enum BodyReader: Sendable {
    case none
    /// Bytes that are still to come.
    case length(Int64)
    case chunked(ChunkDecoder)
    case untilClose

    package init(_ framing: BodyFraming) {
        self =
            switch framing {
            case .none: .none
            case .length(let length): .length(length)
            case .chunked: .chunked(ChunkDecoder())
            case .untilClose: .untilClose
            }
    }

    /// Ranges and offsets are of the input that was given.
    package enum Piece: Equatable, Sendable {
        /// Payload; ask again from its end.
        case data(Range<Int>)
        /// Everything was taken, and more must come.
        case needMore
        /// The body is complete; what follows begins here.
        case end(next: Int)
        case malformed
    }

    /// The next piece of `input` from `offset`. After `.end` and `.malformed` it must not be asked again.
    package mutating func read(_ input: Span<UInt8>, from offset: Int) -> Piece {
        switch self {
        case .none: return .end(next: offset)
        case .length(let remaining):
            if remaining == 0 { return .end(next: offset) }
            let available = Int64(input.count - offset)
            if available == 0 { return .needMore }
            let taken = min(remaining, available)
            self = .length(remaining - taken)
            return .data(offset..<offset + Int(taken))
        case .chunked(var decoder):
            let step = decoder.decode(input, from: offset)
            self = .chunked(decoder)
            switch step {
            case .data(let range): return .data(range)
            case .needMore: return .needMore
            case .end(let next): return .end(next: next)
            case .malformed: return .malformed
            }
        case .untilClose:
            return offset < input.count ? .data(offset..<input.count) : .needMore
        }
    }
}
