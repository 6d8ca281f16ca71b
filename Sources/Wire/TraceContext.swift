/// A W3C Trace Context: which trace a request belongs to, and which span of it we are.
package struct TraceContext: Hashable, Sendable {
    package let traceHigh: UInt64
    package let traceLow: UInt64
    /// Of the span that sent the request; in what we send, ours.
    package let parent: UInt64
    /// Bit 0: sampled. Bit 1: the trace id is random.
    package let flags: UInt8

    private init(traceHigh: UInt64, traceLow: UInt64, parent: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.parent = parent
        self.flags = flags
    }

    /// Begins a trace. Not sampled: whether to record is decided by those who record.
    package init(from generator: inout IDGenerator) {
        self.init(
            traceHigh: generator.nextNonZero(), traceLow: generator.next(), parent: generator.nextNonZero(),
            flags: TraceContext.random)
    }

    /// Reads a traceparent field; nil when it is to be ignored, and tracestate with it (§3.2.2, §4.3).
    ///
    /// Version 00 has exactly 55 bytes. A later version may be longer behind another dash; its first four parts are read
    /// as those of version 00. Version ff, capital digits and ids of zeros are invalid.
    package init?(traceparent text: Span<UInt8>) {
        guard text.count >= TraceContext.length, text[2] == dash, text[35] == dash, text[52] == dash,
            let version = hex(text, 0..<2), version != 0xff,
            let traceHigh = hex(text, 3..<19), let traceLow = hex(text, 19..<35), traceHigh | traceLow != 0,
            let parent = hex(text, 36..<52), parent != 0,
            let flags = hex(text, 53..<55)
        else { return nil }
        if text.count > TraceContext.length, version == 0 || text[TraceContext.length] != dash { return nil }
        // Flags that version 00 does not define are to be sent as zero.
        let known = UInt8(truncatingIfNeeded: flags) & (TraceContext.sampled | TraceContext.random)
        self.init(traceHigh: traceHigh, traceLow: traceLow, parent: parent, flags: known)
    }

    /// The same trace, with a span of our own as the parent of what we send.
    package func continued(from generator: inout IDGenerator) -> TraceContext {
        TraceContext(
            traceHigh: traceHigh, traceLow: traceLow, parent: generator.nextNonZero(), flags: flags)
    }

    package static let sampled: UInt8 = 1
    package static let random: UInt8 = 2

    /// Bytes of a traceparent of version 00.
    private static let length = 55
}

private let dash = UInt8(ascii: "-")

/// The value of lower-case hexadecimal digits, at most 16; nil when there is anything else.
private func hex(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
    var value: UInt64 = 0
    for index in range {
        guard let digit = hexDigit(text[index]), text[index] < 65 || text[index] >= 97 else { return nil }
        value = value << 4 | UInt64(digit)
    }
    return value
}
