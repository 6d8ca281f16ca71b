internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// How a server is checked.
struct CheckPlan {
    enum Question: Equatable {
        /// Whether it accepts a connection.
        case connection
        case request([UInt8], Configuration.Upstream.HealthCheck)
    }

    var question: Question
    var interval: Interval
    /// For everything, from connecting to the end of the answer's head.
    var timeout: Interval
    /// Sent before everything else: a PROXY header, or nothing.
    var preface: [UInt8] = []
    /// And the name that the certificate must be for. Nil: plain text.
    var tls: (context: TLSClientContext, name: String)?

    /// The handshake is whole each time, no session is resumed: that the server's certificate is still believed is part of
    /// what is checked.
    fileprivate var opening: StreamOpening {
        StreamOpening(preface: preface, tls: tls.map { TLSClient($0.context, name: $0.name) })
    }
}

/// Checks one server again and again, over connections of its own; one check at a time. On the control thread, and never
/// blocking it.
final class HealthProbe: ByteStreamHandler {
    private enum Phase {
        /// Until the timer begins a check. → `asking`, `stopped`
        case resting
        /// Until the answer or the timer ends it. → `resting`, `stopped`
        case asking(ByteStream)
        case stopped
    }

    /// The next check goes by it.
    var plan: CheckPlan

    private let address: SocketAddress
    private let loop: EventLoop
    /// What is wrong; nil: nothing.
    private let report: (String?) -> Void
    private var phase = Phase.resting
    private var answer = HealthAnswer()
    private var timer: LoopTimer?

    /// The first check comes at once, a little later for some than for others.
    init(of address: SocketAddress, on loop: EventLoop, _ plan: CheckPlan, report: @escaping (String?) -> Void) {
        self.address = address
        self.loop = loop
        self.plan = plan
        self.report = report
        timer = LoopTimer(on: loop) { [unowned self] in timePassed() }
        let chance = Int64.random(in: 0..<256)
        timer?.fire(after: Interval(nanoseconds: plan.interval.nanoseconds / 2_560 * chance))
    }

    deinit { stop() }

    func stop() {
        if case .asking(let stream) = phase { stream.close() }
        phase = .stopped
        timer?.cancel()
    }

    private func timePassed() {
        switch phase {
        case .resting: begin()
        case .asking: end("no answer in time")
        case .stopped: break
        }
    }

    private func begin() {
        answer = HealthAnswer()
        phase = .asking(
            ByteStream(to: address, on: loop, opening: plan.opening, connectTimeout: plan.timeout, handler: self))
        timer?.fire(after: plan.timeout)
    }

    private func end(_ problem: String?) {
        if rest() { report(problem) }
    }

    /// Until the next check. False: none was under way.
    private func rest() -> Bool {
        guard case .asking(let stream) = phase else { return false }
        stream.close()
        phase = .resting
        timer?.fire(after: Configuration.Upstream.HealthCheck.spread(plan.interval, chance: .random(in: 0 ... .max)))
        return true
    }

    func streamConnected(_ stream: ByteStream) {
        switch plan.question {
        case .connection: end(nil)
        case .request(let bytes, _): stream.send(bytes)
        }
    }

    func stream(_ stream: ByteStream, received bytes: Span<UInt8>) {
        guard case .request(_, let check) = plan.question else { return }
        switch answer.take(bytes) {
        case .incomplete: return
        case .unreadable: end("a malformed answer")
        case .status(let status): end(check.accepts(status) ? nil : "status \(status)")
        }
    }

    func stream(_ stream: ByteStream, ended reason: StreamEnd) {
        // A check for which this machine has no descriptor or port says nothing of the server: it was not made.
        if reason.isOwnShortage { _ = rest() } else { end(reason.description) }
    }
}
