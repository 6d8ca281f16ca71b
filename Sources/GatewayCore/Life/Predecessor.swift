internal import Glibc
internal import Ledger
internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// The gateway that this process takes over from, as it is seen from here.
///
/// When it ends before its time, this process serves all the same: what it held is free then.
final class Predecessor {
    private enum Phase {
        /// Nothing is asked yet, or the state is awaited; the loop does not run. → `preparing`
        case beginning(StreamSocket, LineBuffer)
        /// → `waiting`
        case preparing(HandoverChannel)
        /// It was told that we could serve. → `permitted`
        case waiting(HandoverChannel)
        /// → `finishing`
        case permitted(HandoverChannel)
        /// We serve, and it finishes what was under way. → `gone`
        case finishing(HandoverChannel)
        case gone
    }

    private var phase: Phase
    /// Of a reload that came too late for it.
    private var reload: () -> Void = {}
    private var proceed: () -> Void = {}
    private var count: (LoginFailure, @escaping (FailureCount) -> Void) -> Void = { _, _ in }
    private var reserve: (LoginFailure, Interval, @escaping (Reservation) -> Void) -> Void = { _, _, _ in }
    private var release: (LoginFailure) -> Void = { _ in }
    private var ended: () -> Void = {}

    /// Owns the socket from now on.
    init(_ socket: StreamSocket) { phase = .beginning(socket, LineBuffer()) }

    /// Says why this process cannot serve, before it ends.
    func refuse(_ reason: String) {
        guard case .beginning(let socket, _) = phase else { return }
        for line in reason.split(separator: "\n") { say(.refused(String(line.prefix(1_000))), to: socket) }
    }

    /// At once: the loop does not run, and the little that is said then fits into the socket.
    private func say(_ message: HandoverMessage, to socket: StreamSocket) {
        _ = socket.send(Array("\(message.text)\n".utf8).span)
    }

    /// Asks for the state and waits until it is free. It takes as long as the other side lets us live.
    func obtainState() {
        guard case .beginning(let socket, var lines) = phase else { return }
        say(.wantsState, to: socket)
        // Failed logins that it tells of meanwhile are kept for later.
        var later = LineBuffer()
        while true {
            while let line = lines.next() {
                guard line != HandoverMessage.state.text else {
                    later.append(lines.takeRest().span)
                    phase = .beginning(socket, later)
                    return
                }
                later.append(Array("\(line)\n".utf8).span)
            }
            var interest = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&interest, 1, -1)
            var piece = [UInt8](repeating: 0, count: LineBuffer.longest)
            switch piece.withUnsafeMutableBytes({ socket.receive(into: $0) }) {
            case .bytes(let count): lines.append(piece.span.extracting(..<count))
            case .wouldBlock: continue
            case .ended, .failed:
                socket.close()
                phase = .gone
                return
            }
        }
    }

    /// The loop runs from now on.
    /// - Parameters:
    ///   - proceed: It lets us serve, or is gone.
    ///   - reload: The configuration is to be read again.
    ///   - count: A login failed there.
    ///   - reserve: A login there wants to go to a backend.
    ///   - release: It does not need its place any more.
    ///   - ended: It is no more.
    func attach(
        on loop: EventLoop, proceed: @escaping () -> Void, reload: @escaping () -> Void,
        count: @escaping (LoginFailure, @escaping (FailureCount) -> Void) -> Void,
        reserve: @escaping (LoginFailure, Interval, @escaping (Reservation) -> Void) -> Void,
        release: @escaping (LoginFailure) -> Void, ended: @escaping () -> Void
    ) {
        guard case .beginning(let socket, let lines) = phase else { return }
        self.proceed = proceed
        self.reload = reload
        self.count = count
        self.reserve = reserve
        self.release = release
        self.ended = ended
        phase = .preparing(
            HandoverChannel(
                socket, after: lines, on: loop, receive: { [unowned self] in heard($0) },
                ended: { [unowned self] in
                    let mayServeNow = if case .waiting = phase { true } else { false }
                    phase = .gone
                    mayServeNow ? self.proceed() : self.ended()
                }))
    }

    /// We serve, and its last logins are counted by us, or by whoever we have told of them.
    var isFinishing: Bool { if case .finishing = phase { true } else { false } }

    /// Whether we may serve; asks when it has not been asked yet.
    func letsServe(on kept: Set<Int>) -> Bool {
        switch phase {
        case .beginning, .waiting: return false
        case .preparing(let line):
            line.send(.prepared(kept: kept.sorted()))
            phase = .waiting(line)
            return false
        case .permitted, .finishing, .gone: return true
        }
    }

    /// Tells it that we do.
    func serves(version: String) {
        guard case .permitted(let line) = phase else { return }
        line.send(.serving(version: version))
        phase = .finishing(line)
    }

    /// A change that its connections must meet, too.
    func tell(_ change: LedgerChange, at now: Instant) {
        guard let line else { return }
        for message in change.messages(at: now) { line.send(message) }
    }

    /// Keys that are gone: what tokens of theirs have opened there must be cut.
    func tell(keysGone fingerprints: [String]) {
        guard let line else { return }
        for fingerprint in fingerprints { line.send(.keyGone(fingerprint: fingerprint)) }
    }

    private var line: HandoverChannel? {
        switch phase {
        case .preparing(let line), .waiting(let line), .permitted(let line), .finishing(let line): line
        case .beginning, .gone: nil
        }
    }

    private func heard(_ message: HandoverMessage) {
        switch message {
        case .serve:
            guard case .waiting(let line) = phase else { return }
            phase = .permitted(line)
            proceed()
        case .failed(let failure):
            count(failure) { [weak self] in self?.line?.send(.counted(failure.id, $0)) }
        case .reserve(let guess, let length):
            reserve(guess, Interval(nanoseconds: length * 1_000_000)) { [weak self] in
                self?.line?.send(.reserved(guess.id, $0))
            }
        case .release(let guess): release(guess)
        case .reload: reload()
        // Of ours to it, or too early; it has its own rules for what we say.
        case .state, .refused, .wantsState, .prepared, .serving, .block, .lift, .allow, .disallow, .revoke, .unrevoke,
            .lockdown, .reopen, .keyGone, .counted, .reserved:
            return
        }
    }
}
