internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// How the gateway ends, and how it shows that it lives.
extension Gateway {
    /// How long a connection without a request is kept for the one that may be on its way.
    static let quiet = Interval.seconds(1)

    /// SIGTERM: nothing new is accepted, what is under way is finished until the deadline. A second one cuts it off.
    func drain(_ reason: DrainReason = .signal) {
        let now = Instant.now()
        switch life {
        case .starting: finish()
        case .serving where reason == .signal && upgrade.isUnderWay:
            // Again when it is over: then the state is here, or another process has everything.
            endIsAsked = true
            upgrade.cancel()
        case .serving:
            life = .draining(since: now, reason)
            breakGlass.endAll()
            log.draining(openConnections: shared.openConnections, deadline: configuration.timeouts.drain)
            supervisor.tell(.stopping, "Finishing what is under way")
            workers.send(.drain(deadline: now + configuration.timeouts.drain, quiet: Gateway.quiet))
        case .draining(let since, .successor):
            life = .draining(since: since, .signal)
        case .draining(_, .signal): workers.isRunning ? cutDrain() : finish()
        case .stopped: break
        }
    }

    func cutDrain() { workers.send(.drain(deadline: .now(), quiet: .zero)) }

    /// One that stands between two processes stays until the former has finished: its failed logins go through here to the
    /// one that counts. The former's deadline is not ours to set; a second signal ends the wait.
    func finishIfNotBetween() {
        guard ownsState || inheritance.predecessor?.isFinishing != true else { return }
        finish()
    }

    func finish() {
        admin?.stop()
        ledger.stop { [unowned self] in loop.stop() }
    }

    // MARK: What a service manager sees

    var servingStatus: String {
        "Serving on \((boundListeners + boundSecureListeners).joined(separator: ", "))"
    }

    /// Signs of life for a service manager that waits for them: none while a worker hangs, so that it starts us anew.
    func watchSigns() {
        guard let interval = supervisor.interval else { return }
        // Workers show themselves a few times a second; a manager in a greater hurry waits for that.
        let limit = max(interval, .seconds(1))
        watchdog = LoopTimer(on: loop) { [unowned self] in
            if workers.isAlive(at: .now(), within: limit) { supervisor.tellAlive() }
        }
        watchdog?.fire(every: interval)
        supervisor.tellAlive()
    }
}
