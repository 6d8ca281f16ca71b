package import Wire

/// The names of one request: its id for people and logs, and its place in a W3C trace. Made once, as text, because every
/// request says them three times: to the backend, to the client and to the log. An object, filled anew for each request of
/// a connection, so that nobody copies the text to say it.
package final class RequestTrace {
    /// 32 digits of the request id, 32 of the trace id, 55 of the traceparent. Owned; freed in `deinit`.
    private let text: UnsafeMutablePointer<UInt8>
    /// An id that a trusted proxy gave, kept instead of ours; nearly always empty.
    private var given: [UInt8] = []
    private var isNamed = false

    private static let length = 119
    /// Of an id that was made here.
    static let idLength = 32

    /// Of nothing: a connection that was refused before it could ask.
    package init() {
        text = .allocate(capacity: RequestTrace.length)
        text.initialize(repeating: UInt8(ascii: "0"), count: RequestTrace.length)
        // 00-<trace>-<parent>-<flags>
        for place in [66, 99, 116] { text[place] = UInt8(ascii: "-") }
    }

    deinit { text.deallocate() }

    /// Forgets the request that was named last.
    package func clear() {
        isNamed = false
        if !given.isEmpty { given = [] }
    }

    /// The id that was given is kept instead of the one that `name` has made.
    fileprivate func keep(given: Span<UInt8>) { self.given = given.withUnsafeBufferPointer { Array($0) } }

    fileprivate func name(_ id: RequestID, _ context: TraceContext) {
        isNamed = true
        if !given.isEmpty { given = [] }
        write(id.high, at: 0)
        write(id.low, at: 16)
        for start in [32, 67] {
            write(context.traceHigh, at: start)
            write(context.traceLow, at: start + 16)
        }
        write(context.parent, at: 100)
        // The flags are two bits, so the first of their digits stays 0.
        text[118] = UInt8(ascii: "0") + context.flags
    }

    private func write(_ value: UInt64, at start: Int) {
        let place = UnsafeMutableRawPointer(text + start)
        place.storeBytes(of: Digits.hexadecimal(UInt32(truncatingIfNeeded: value >> 32)), as: UInt64.self)
        place.storeBytes(of: Digits.hexadecimal(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
    }

    @_lifetime(borrow self)
    private func part(_ start: Int, _ count: Int) -> Span<UInt8> {
        unsafe _overrideLifetime(Span(_unsafeStart: text + start, count: isNamed ? count : 0), borrowing: self)
    }

    /// Empty when nothing was named.
    package var requestID: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            if given.isEmpty { return part(0, RequestTrace.idLength) }
            // The array stays until the next request is named.
            let bytes = given.withUnsafeBufferPointer { $0 }
            return unsafe _overrideLifetime(Span(_unsafeElements: bytes), borrowing: self)
        }
    }

    /// Empty when nothing was named.
    package var traceID: Span<UInt8> {
        @_lifetime(borrow self)
        get { part(32, 32) }
    }

    func write(into out: inout ByteWriter) {
        guard isNamed else { return }
        out.append("X-Request-Id: ")
        out.append(requestID)
        out.append("\r\ntraceparent: ")
        out.append(part(64, 55))
        out.append("\r\n")
    }
}

extension Gatekeeper {
    /// Names the request that was read last; its trace is continued, or a new one begun.
    package func name(_ trace: RequestTrace, _ bytes: Span<UInt8>, peer: IPAddress) {
        var continued: TraceContext?
        if case .at(let index) = head.traceparent {
            continued = TraceContext(traceparent: bytes.extracting(fields[index].value))
        }
        // A tracestate without its traceparent means nothing (Trace Context §3.3.1).
        head.continuesTrace = continued != nil
        let context = continued?.continued(from: &identifiers) ?? TraceContext(from: &identifiers)
        trace.name(RequestID(from: &identifiers), context)
        if case .at(let index) = head.requestID, rules.trusted.contains(peer) {
            let value = bytes.extracting(fields[index].value)
            if RequestID.isAcceptable(value) { trace.keep(given: value) }
        }
    }
}
