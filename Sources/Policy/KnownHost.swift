internal import Wire

/// The Host field that a worker read last. Most requests name the host that the one before has named, and what is the same
/// byte for byte need not be read again.
struct KnownHost: ~Copyable {
    private var text: [UInt8] = []
    /// How many of them are the name; the port is behind them.
    private var nameLength = 0

    /// The name in the field's value `bytes[range]`, without its port; nil when it is not one host (see `Authority`).
    mutating func name(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
        if !text.isEmpty, bytes.extracting(range).equals(text.span) {
            return range.lowerBound..<range.lowerBound + nameLength
        }
        guard let authority = Authority(bytes, range) else { return nil }
        text.removeAll(keepingCapacity: true)
        bytes.extracting(range).withUnsafeBufferPointer { text.append(contentsOf: $0) }
        nameLength = authority.host.count
        return authority.host
    }
}
