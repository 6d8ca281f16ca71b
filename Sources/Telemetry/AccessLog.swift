public import Wire

/// The access log of one worker: a line of JSON per exchange, formatted straight into a ring that the disk thread
/// empties. No allocation, no lock, no system call. Made and used on the worker's own thread.
package final class AccessLog {
    private let channel: AccessChannel
    /// The second that `prefix` shows.
    private var second = Int64.min
    /// `{"timestamp":"2026-11-21T07:09:16.`
    private var prefix = InlineArray<40, UInt8>(repeating: 0)
    private var lastRefusal: AccessRefusal?
    private var lastNames: AccessNames?
    private var refusalText: [UInt8] = []

    package init(_ channel: AccessChannel) { self.channel = channel }

    /// Whether lines are kept; a caller may spare itself the noting where they are not.
    package var isOn: Bool { channel.isOn }

    /// Writes the line of an exchange that is over.
    /// - `pending`, `memory`: what `PendingAccess.note` kept, and where; a `pending` that noted nothing stands for a
    ///   request that could not be read.
    /// - `sender`: what was written of the connection in the last line.
    /// - `names`: those of the configuration that served the exchange.
    /// - `server`: as `AccessNames.member(server:)` made it.
    /// - `feed`: the list that the client stands on; observed: it is only looked at, and the client was not refused for it.
    /// - the spans: empty where there is nothing to say. `user` only where the token was verified. An id of 32
    ///   bytes is one that was made here, or one like it: it is not escaped.
    package func append(
        _ facts: borrowing AccessFacts, _ pending: PendingAccess, in memory: Span<UInt8>, from sender: SenderText,
        names: AccessNames, server: Span<UInt8>, requestID: Span<UInt8>, traceID: Span<UInt8>, user: Span<UInt8>,
        feed: (name: String, isObserved: Bool)? = nil
    ) {
        guard channel.isOn else { return }
        guard let room = channel.lineMemory() else { return }
        var line = LineWriter(room.mutableBytes)
        begin(&line, at: facts.finished)
        // One literal each: a text of known length is stored with a few moves.
        if facts.status >= 500 {
            line.raw("\"ERROR\",\"service\":\"gateway\",\"event\":\"http.request\"")
        } else {
            line.raw("\"INFO\",\"service\":\"gateway\",\"event\":\"http.request\"")
        }
        line.raw(sender.of(client: facts.client, peer: facts.peer, port: facts.peerPort))
        if let proxy = facts.proxy {
            line.raw(",\"proxy_ip\":\"")
            line.address(proxy)
            line.raw("\"")
        }
        if facts.isCheck { line.raw(",\"via\":\"forward_auth\"") }
        line.raw(memory.extracting(first: Int(pending.count)))
        line.raw(",\"status\":")
        line.number(facts.status)
        line.raw(",\"bytes_in\":")
        line.number(facts.bytesIn)
        line.raw(",\"bytes_out\":")
        line.number(facts.bytesOut)
        line.raw(",\"duration_ms\":")
        line.milliseconds(facts.duration)
        if let route = facts.route { names.routes.write(route, to: &line) }
        appendUpstream(&line, facts, names: names, server: server)
        if let refusal = facts.refusal { append(refusal, names, to: &line) }
        if let feed {
            let key: StaticString = feed.isObserved ? ",\"observed_by\":" : ",\"feed\":"
            appendField(&line, key, Array(feed.name.utf8).span, limit: 64)
        }
        if let end = facts.end { appendField(&line, ",\"ended_by\":", Array(end.rawValue.utf8).span, limit: 32) }
        if facts.isByBreakGlass { line.raw(",\"break_glass\":true") }
        appendID(&line, ",\"request_id\":", requestID)
        appendID(&line, ",\"trace_id\":", traceID)
        appendField(&line, ",\"user_id\":", user, limit: 256)
        line.raw("}\n")
        channel.publish(line.overflowed ? 0 : line.count)
    }

    /// In an attack nearly all are refused alike: what was written of the last one is kept.
    private func append(_ refusal: AccessRefusal, _ names: AccessNames, to line: inout LineWriter) {
        if refusal != lastRefusal || names !== lastNames {
            (lastRefusal, lastNames) = (refusal, names)
            refusalText = jsonBytes(capacity: 512) { text in
                names.stages.write(refusal.stage, to: &text)
                names.codes.write(refusal.code, to: &text)
                if let reason = refusal.reason { names.reasons.write(reason, to: &text) }
            }
        }
        let text = refusalText
        line.raw(text.span)
    }

    private func begin(_ line: inout LineWriter, at time: WallTime) {
        if time.seconds != second {
            second = time.seconds
            var span = prefix.mutableSpan
            var writer = LineWriter(span.mutableBytes)
            writer.raw("{\"timestamp\":\"")
            writer.wholeSecond(of: time)
        }
        line.raw(prefix.span.extracting(first: 34))
        line.thousandths(UInt(time.milliseconds - second * 1_000))
        line.raw("Z\",\"level\":")
    }

    private func appendUpstream(
        _ line: inout LineWriter, _ facts: borrowing AccessFacts, names: AccessNames, server: Span<UInt8>
    ) {
        guard let upstream = facts.upstream else { return }
        names.upstreams.write(upstream, to: &line)
        line.raw(server)
        if let status = facts.upstreamStatus {
            line.raw(",\"upstream_status\":")
            line.number(status)
        }
        if let time = facts.upstreamTime {
            line.raw(",\"upstream_ms\":")
            line.milliseconds(time)
        }
    }

    @inline(__always)
    private func appendID(_ line: inout LineWriter, _ key: StaticString, _ id: Span<UInt8>) {
        guard id.count == LineWriter.idLength else { return appendField(&line, key, id, limit: 128) }
        line.raw(key)
        line.id(id)
    }

    private func appendField(_ line: inout LineWriter, _ key: StaticString, _ value: Span<UInt8>, limit: Int) {
        guard !value.isEmpty else { return }
        line.raw(key)
        line.string(value, limit: limit)
    }
}

/// What is known of an exchange when it is over. Nothing in it is counted.
public struct AccessFacts: Sendable {
    public var finished: WallTime
    /// From the first byte of the request to the last of the response.
    public var duration: Interval
    public var client: IPAddress
    public var peer: IPAddress
    /// RFC 6302 §2: behind a large NAT an address without its port names nobody. 0: unknown.
    public var peerPort: UInt16
    /// Who announced the peer in a PROXY header; nil: nobody.
    public var proxy: IPAddress?
    /// A proxy asked about the request.
    public var isCheck: Bool
    /// It had no good token, and an operator had opened the route.
    public var isByBreakGlass: Bool
    public var status: Int
    /// Of head and body, as received from and sent to the client.
    public var bytesIn: Int
    public var bytesOut: Int
    /// Indices into the lists that `AccessNames` was made from.
    public var route: Int?
    public var upstream: Int?
    public var upstreamStatus: Int?
    /// From the lease to the end of the upstream's response.
    public var upstreamTime: Interval?
    public var refusal: AccessRefusal?
    /// Of a tunnel, and of an event stream that was cut.
    public var end: TunnelEnd?

    @inlinable
    public init(
        finished: WallTime, duration: Interval, client: IPAddress, peer: IPAddress, peerPort: UInt16,
        proxy: IPAddress? = nil, status: Int, bytesIn: Int, bytesOut: Int, route: Int? = nil, upstream: Int? = nil,
        upstreamStatus: Int? = nil, upstreamTime: Interval? = nil, refusal: AccessRefusal? = nil, end: TunnelEnd? = nil,
        isCheck: Bool = false, isByBreakGlass: Bool = false
    ) {
        self.finished = finished
        self.duration = duration
        self.client = client
        self.peer = peer
        self.peerPort = peerPort
        self.proxy = proxy
        self.status = status
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.route = route
        self.upstream = upstream
        self.upstreamStatus = upstreamStatus
        self.upstreamTime = upstreamTime
        self.refusal = refusal
        self.end = end
        self.isCheck = isCheck
        self.isByBreakGlass = isByBreakGlass
    }
}

/// Why the gateway itself answered: indices into the lists that `AccessNames` was made from.
public struct AccessRefusal: Hashable, Sendable {
    public var stage: Int
    public var code: Int
    public var reason: Int?

    public init(stage: Int, code: Int, reason: Int? = nil) {
        self.stage = stage
        self.code = code
        self.reason = reason
    }
}

/// What the request said of itself, kept as finished JSON in memory that the exchange owns, because the head is gone when
/// the line is written. Owns nothing.
package struct PendingAccess: Sendable {
    /// Bytes of memory that every request fits into.
    package static let memorySize = 1_024

    /// Bytes of the memory that are used.
    package private(set) var count: UInt16 = 0

    package init() {}

    /// Keeps the request's part of the line; each value is cut to its share of the memory. `path` is the canonical path
    /// without the query: a query may carry tokens and passwords.
    package mutating func note(
        method: Span<UInt8>, host: Span<UInt8>, path: Span<UInt8>, userAgent: Span<UInt8>,
        in memory: inout MutableSpan<UInt8>
    ) {
        var line = LineWriter(memory.mutableBytes)
        line.raw(",\"method\":")
        line.string(method, limit: 24)
        line.raw(",\"host\":")
        line.string(host, limit: 160)
        line.raw(",\"path\":")
        line.string(withoutQuery(path), limit: 512)
        line.raw(",\"user_agent\":")
        line.string(userAgent, limit: 240)
        count = line.overflowed ? 0 : UInt16(line.count)
    }
}

/// Cut off once more here, so that no mistake of a caller can put a secret into a log.
@_lifetime(copy path)
func withoutQuery(_ path: Span<UInt8>) -> Span<UInt8> {
    for index in path.indices where path[index] == UInt8(ascii: "?") || path[index] == UInt8(ascii: "#") {
        return path.extracting(first: index)
    }
    return path
}

/// The names that the indices of `AccessFacts` mean, as finished JSON. One per configuration.
package final class AccessNames: Sendable {
    let routes: Fragments
    let upstreams: Fragments
    let stages: Fragments
    let codes: Fragments
    let reasons: Fragments

    package init(routes: [String], upstreams: [String], stages: [String], codes: [String], reasons: [String]) {
        self.routes = Fragments(key: "route", routes)
        self.upstreams = Fragments(key: "upstream", upstreams)
        self.stages = Fragments(key: "stage", stages)
        self.codes = Fragments(key: "code", codes)
        self.reasons = Fragments(key: "reason", reasons)
    }

    /// What the line says of the server at this address: made once for each.
    package static func member(server: String) -> [UInt8] {
        jsonBytes(capacity: 256) { line in
            line.raw(",\"server\":")
            line.string(server, limit: 128)
        }
    }
}

/// `,"key":"value"` for every value, end to end in one array.
struct Fragments: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = [0]

    init(key: String, _ values: [String]) {
        for value in values {
            bytes += jsonBytes(capacity: 256) { line in
                line.byte(UInt8(ascii: ","))
                line.string(key, limit: 64)
                line.byte(UInt8(ascii: ":"))
                line.string(value, limit: 128)
            }
            ends.append(bytes.count)
        }
    }

    func write(_ index: Int, to line: inout LineWriter) {
        line.raw(bytes.span.extracting(ends[index]..<ends[index + 1]))
    }
}

/// An array that holds what `write` wrote; empty when it did not fit into `capacity` bytes.
func jsonBytes(capacity: Int, _ write: (inout LineWriter) -> Void) -> [UInt8] {
    withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { scratch in
        var line = LineWriter(scratch.mutableBytes)
        write(&line)
        return line.overflowed ? [] : Array(scratch[..<line.count])
    }
}
