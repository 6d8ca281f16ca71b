internal import Glibc
internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Whose the ledger, its directory and the admin sockets are.
enum StatePossession {
    case ours
    /// The process that takes over has it, or is about to.
    case theirs
}

/// Both sides of an upgrade: giving this process's place away, and taking another one's
/// (docs/decisions/handover.md).
extension Gateway {
    var ownsState: Bool { state == .ours }

    // MARK: Giving away

    /// SIGUSR2, or an operator's command: starts the program anew and lets it take over. One that does not serve changes
    /// nothing.
    func upgradeProgram(then done: @escaping (UpgradeOutcome) -> Void = { _ in }) {
        guard life == .serving, let reloads else { return done(.notServing) }
        guard !upgrade.isUnderWay else { return done(.underWay) }
        // The end of the first process of a container is the end of the container.
        guard getpid() != 1 else { return done(.failed("this is process 1, and all others end with it")) }
        // A reload in its middle would open listeners that the new process does not get.
        reloads.alone { [unowned self] over in
            guard life == .serving else {
                done(.notServing)
                return over()
            }
            // It is being tried again to open it: a new program could meet us in it.
            guard ownsState else {
                done(upgradeRefused("the state directory cannot be opened again since the last upgrade failed"))
                return over()
            }
            upgrade.begin(inheritance, gifts: gifts, limit: configuration.timeouts.upgrade) { [unowned self] outcome in
                done(outcome)
                over()
                guard case .failed = outcome else { return }
                if endIsAsked { drain() }
            }
        }
    }

    func upgradeBySignal() {
        guard life == .starting else { return upgradeProgram() }
        upgradeRefused("this process does not serve yet")
    }

    /// No program was started. Whoever asked by a signal is told by the log alone.
    @discardableResult
    private func upgradeRefused(_ reason: String) -> UpgradeOutcome {
        log.log(
            .error, "upgrade.failed", "The new program did not take over; this process serves on",
            [("reason", .text(reason))])
        return .failed(reason)
    }

    func makeUpgrade() -> Upgrade {
        Upgrade(
            on: loop, log: log,
            actions: Upgrade.Actions(
                releaseState: { [unowned self] in releaseState(then: $0) },
                takeStateBack: { [unowned self] in takeStateBack() },
                handOver: { [unowned self] in handOver($0) },
                successorLost: { [unowned self] _ in successorLost() },
                heard: { [unowned self] in heard(fromSuccessor: $0) }))
    }

    /// Every listening socket, each once.
    private var gifts: [Upgrade.Gift] {
        var seen: Set<ObjectIdentifier> = []
        let own = (listeners.entries + listeners.resting).flatMap { entry in
            entry.sockets.joined().filter { seen.insert(ObjectIdentifier($0)).inserted }
                .map { Upgrade.Gift(name: entry.wanted.setting, socket: $0) }
        }
        return own + (admin?.sockets ?? [])
    }

    private func releaseState(then done: @escaping () -> Void) {
        state = .theirs
        stateRetry = nil
        // Before the ledger lets go, so that no failure falls between the two.
        desk.leaveCounting { [unowned self] in upgrade.tell($0) }
        admin?.pause()
        ledger.stop(completion: done)
    }

    /// Opens the state directory again; whoever waited for a count gets it here.
    private func openState() throws(LedgerError) {
        ledger = try makeLedger(configuration, on: loop, sink: trail, resolver: resolver)
        // Allowances are told when they change, and these have not.
        ledger.adopt(loginRules)
        state = .ours
        ledger.start()
        desk.count(with: ledger)
    }

    private func takeStateBack() {
        do throws(LedgerError) {
            try openState()
        } catch {
            log.log(
                .error, "ledger.unavailable", "The state directory cannot be opened again; failed logins wait for it",
                [("reason", .text(error.description))])
            stateRetry = LoopTimer(on: loop) { [unowned self] in takeStateBack() }
            stateRetry?.fire(after: .seconds(1))
            return
        }
        stateRetry = nil
        // Our own configuration says which keys there are, as before.
        keys.withdrawNone()
        admin?.resume()
    }

    private func handOver(_ kept: [ListeningSocket]) {
        // What waits in their queues is the successor's, and so is the file of the admin socket.
        for socket in kept { socket.isHeldElsewhere = true }
        supervisor.fallSilent()
        if reloads?.giveUp() == true { upgrade.tell(.reload) }
        drain(.successor)
    }

    private func heard(fromSuccessor message: HandoverMessage) {
        switch message {
        case .block(let network, let length):
            let deadline = length.map { Instant.now() + Interval(nanoseconds: $0 * 1_000_000) } ?? .never
            broadcast.send(.blocks(.set([BlockEntry(network: network, deadline: deadline)])))
        case .lift(let network): broadcast.send(.blocks(.lift([network])))
        case .allow(let network, let length):
            let deadline = length.map { Instant.now() + Interval(nanoseconds: $0 * 1_000_000) } ?? .never
            broadcast.send(.allowances(.set([BlockEntry(network: network, deadline: deadline)])))
        case .disallow(let network): broadcast.send(.allowances(.lift([network])))
        case .revoke(let entry): broadcast.send(.revocations(.set([entry])))
        case .unrevoke(let target): broadcast.send(.revocations(.lift([target])))
        case .lockdown(let route, let allowed, let length):
            let deadline = length.map { Instant.now() + Interval(nanoseconds: $0 * 1_000_000) } ?? .never
            broadcast.send(.lockdown(.set(Lockdown(route: route, allowed: allowed, until: deadline))))
        case .reopen(let route): broadcast.send(.lockdown(.lift(route: route)))
        case .keyGone(let fingerprint): keys.withdraw(fingerprint)
        case .counted(let id, let count): desk.successorCounted(id, count)
        case .reserved(let id, let reservation): desk.guesses.successorReserved(id, reservation)
        default: break
        }
    }

    /// We are finishing, and whoever counts our failed logins is no more. Without a count no login may be answered.
    private func successorLost() {
        do throws(LedgerError) {
            try openState()
        } catch {
            // Somebody started another one, which has the state now.
            workers.isRunning ? cutDrain() : finish()
        }
    }

    // MARK: Taking over

    func followPredecessor() {
        guard let predecessor = inheritance.predecessor else { return }
        broadcast.follower = { [unowned predecessor] in predecessor.tell($0, at: .now()) }
        keys.gone = { [unowned predecessor] in predecessor.tell(keysGone: $0) }
        predecessor.attach(
            on: loop, proceed: { [unowned self] in serveIfReady() },
            reload: { [unowned self] in reloadConfiguration() },
            count: { [unowned self] failure, done in
                desk.failedInPredecessor(failure) { [unowned self] count in
                    // Before they serve, and when they have ended, workers have nothing that a block could be late for.
                    guard life != .starting, workers.isRunning else { return done(count) }
                    broadcast.whenApplied(within: .milliseconds(250), now: .now()) { done(count) }
                }
            },
            reserve: { [unowned self] in desk.guesses.reserveForPredecessor($0, $1, completion: $2) },
            release: { [unowned self] in desk.guesses.returnedByPredecessor($0) },
            ended: { [unowned self] in
                if case .draining = life, !workers.isRunning { finish() }
            })
    }

    /// One that comes while another process takes over is that one's.
    func reloadBySignal() {
        // The file may have been read before: it is read again as soon as that can be brought into force.
        reloadIsAsked = life == .starting
        guard !reloadIsAsked else { return }
        reloadConfiguration { [unowned self] outcome in
            if case .notServing = outcome { upgrade.tell(.reload) }
        }
    }
}
