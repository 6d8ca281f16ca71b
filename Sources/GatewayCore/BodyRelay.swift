package import Wire

/// Moves a body from the bytes of one side to the other: reads it by its framing and writes it in the framing that the
/// other side was promised. Chunks are taken apart and made anew, so that no extension, odd size or trailer of one side
/// reaches the parser of the other.
package struct BodyRelay {
    private var reader: BodyReader
    /// Whether the other side gets chunks; otherwise the bare bytes.
    private let writesChunks: Bool
    /// Payload bytes that passed.
    package private(set) var transferred: Int64 = 0

    package init(reading framing: BodyFraming, writingChunks: Bool) {
        reader = BodyReader(framing)
        writesChunks = writingChunks
    }

    package enum Progress: Equatable {
        /// All bytes were used up and more must come.
        case more
        /// The body is complete; what follows begins here.
        case ended(next: Int)
        case malformed
    }

    /// What goes out after this step: always `out`, and behind it `tail` of the input, which need not be copied.
    package struct Parcel {
        package let progress: Progress
        package let tail: Range<Int>
    }

    /// - Parameter out: may hold a head already; what must be sent before the tail is appended.
    package mutating func relay(_ input: Span<UInt8>, from offset: Int, into out: inout ByteWriter) -> Parcel {
        var position = offset
        var tail = offset..<offset
        while true {
            switch reader.read(input, from: position) {
            case .data(let range):
                transferred += Int64(range.count)
                position = range.upperBound
                if writesChunks {
                    out.append(hexadecimal: range.count)
                    out.append("\r\n")
                    out.append(input, range)
                    out.append("\r\n")
                } else if tail.isEmpty {
                    tail = range
                } else {
                    // A second piece without framing of its own (chunks unwrapped): the pieces are joined by copying.
                    out.append(input, tail)
                    tail = range
                }
            case .needMore:
                return Parcel(progress: .more, tail: tail)
            case .end(let next):
                if writesChunks { out.append("0\r\n\r\n") }
                return Parcel(progress: .ended(next: next), tail: tail)
            case .malformed:
                return Parcel(progress: .malformed, tail: tail)
            }
        }
    }

    /// How much of what is still to come may pass unread: the middle of a large body with a length. 0: nothing, or so
    /// little that copying is cheaper. The end is always read, so that there is one place that finds it.
    package var spliceable: Int {
        guard case .length(let remaining) = reader, !writesChunks, remaining >= BodyRelay.leastToSplice
        else { return 0 }
        return Int(min(remaining - BodyRelay.alwaysRead, Int64(Int.max)))
    }

    /// From so many bytes on, splicing costs less than copying (docs/decisions/data-path.md).
    private static let leastToSplice: Int64 = 256 << 10
    private static let alwaysRead: Int64 = 64 << 10

    /// `count` bytes, at most `spliceable`, went by.
    package mutating func splice(_ count: Int) {
        guard case .length(let remaining) = reader else { return }
        reader = .length(remaining - Int64(count))
        transferred += Int64(count)
    }

    /// The connection that carried the body has ended. True when that is how this body ends.
    package mutating func endAtClose(into out: inout ByteWriter) -> Bool {
        guard case .untilClose = reader else { return false }
        if writesChunks { out.append("0\r\n\r\n") }
        return true
    }
}
