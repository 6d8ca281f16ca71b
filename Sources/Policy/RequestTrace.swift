package import Wire

/// The names of one request: its id for people and logs, and its place in a W3C trace. Made once, as text, because every
/// request says them three times: to the backend, to the client and to the log.
package struct RequestTrace: Sendable {
    /// 32 digits of the request id, 32 of the trace id, 55 of the traceparent. Where nothing is written stands `0`.
    private var text = InlineArray<119, UInt8>(repeating: UInt8(ascii: "0"))
    /// An id that a trusted proxy gave, kept instead of ours; nearly always empty.
    private var given: [UInt8] = []
    private var isNamed = false

    /// Of nothing: a connection that was refused before it could ask.
    package static let none = RequestTrace()

    private init() {}

    init(id: RequestID, context: TraceContext, given: [UInt8]) {
        self.given = given
        isNamed = true
        write(id.high, at: 0)
        write(id.low, at: 16)
        write(context.traceHigh, at: 32)
        write(context.traceLow, at: 48)
        // 00-<trace>-<parent>-<flags>
        text[66] = dash
        write(context.traceHigh, at: 67)
        write(context.traceLow, at: 83)
        text[99] = dash
        write(context.parent, at: 100)
        text[116] = dash
        // The flags are two bits, so the first of their digits stays 0.
        text[118] += context.flags
    }

    private mutating func write(_ value: UInt64, at start: Int) {
        var span = text.mutableSpan
        var bytes = span.mutableBytes
        let (high, low) = (UInt32(truncatingIfNeeded: value >> 32), UInt32(truncatingIfNeeded: value))
        bytes.storeBytes(of: Digits.hexadecimal(high), toByteOffset: start, as: UInt64.self)
        bytes.storeBytes(of: Digits.hexadecimal(low), toByteOffset: start + 8, as: UInt64.self)
    }

    package var requestID: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            if !given.isEmpty { return given.span }
            return text.span.extracting(0..<(isNamed ? 32 : 0))
        }
    }

    package var traceID: Span<UInt8> {
        @_lifetime(borrow self)
        get { text.span.extracting(32..<(isNamed ? 64 : 32)) }
    }

    func write(into out: inout ByteWriter) {
        guard isNamed else { return }
        out.append("X-Request-Id: ")
        out.append(requestID)
        out.append("\r\ntraceparent: ")
        out.append(text.span.extracting(64..<119))
        out.append("\r\n")
    }
}

private let dash = UInt8(ascii: "-")

extension Gatekeeper {
    /// Names the request that was read last; its trace is continued, or a new one begun.
    package func trace(_ bytes: Span<UInt8>, peer: IPAddress) -> RequestTrace {
        var continued: TraceContext?
        if case .at(let index) = head.traceparent {
            continued = TraceContext(traceparent: bytes.extracting(fields[index].value))
        }
        // A tracestate without its traceparent means nothing (Trace Context §3.3.1).
        head.continuesTrace = continued != nil
        let context = continued?.continued(from: &identifiers) ?? TraceContext(from: &identifiers)
        var given: [UInt8] = []
        if case .at(let index) = head.requestID, rules.trusted.contains(peer) {
            let value = bytes.extracting(fields[index].value)
            if RequestID.isAcceptable(value) { given = value.withUnsafeBufferPointer { Array($0) } }
        }
        return RequestTrace(id: RequestID(from: &identifiers), context: context, given: given)
    }
}
