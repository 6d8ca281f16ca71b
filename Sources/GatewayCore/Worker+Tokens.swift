internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What a worker has to do with blocks, revocations, lockdowns, limits and keys beside deciding about requests.
extension Worker {
    func apply(_ change: LedgerChange) {
        switch change {
        case .blocks(let delta):
            gatekeeper.blocks.apply(delta, at: clock.now)
            cutBlockedStreams(by: delta)
        case .allowances(let delta):
            gatekeeper.allowances.apply(delta, at: clock.now)
            // Who was let past a block is held back by it again.
            guard case .lift(let networks) = delta else { return }
            cutBlockedStreams(by: .set(networks.map { BlockEntry(network: $0, deadline: .never) }))
        case .feeds(let plan):
            gatekeeper.feeds = plan
            cutBlockedStreams()
        case .revocations(let delta):
            gatekeeper.apply(delta)
            if case .lift = delta { return }
            if streams.mustLook() { lookTimer?.fire(after: Worker.lookInterval) }
        case .lockdown(let delta):
            gatekeeper.lockdowns.apply(delta)
            if case .set = delta { streams.cutLockedOut() }
        case .breakGlass(let delta):
            gatekeeper.breakGlass.apply(delta)
            streams.cutBrokenGlass()
        case .rateLimits(let overrides): gatekeeper.adopt(overrides)
        }
    }

    /// A request counts for `client`, and came from `peer`.
    func noteTraffic(of client: IPAddress, from peer: IPAddress) {
        traffic.note(client, isUnheard: gatekeeper.hasForwardedFor && client == peer)
    }

    func lookForOneAddress(at now: Instant) {
        let listed = generation.configuration.accounts?.shared.networks ?? []
        let finding = traffic.verdict(
            at: now, isTrusted: { [gatekeeper] in gatekeeper.trusts($0) },
            isListed: { address in listed.contains { $0.contains(address) } })
        if let finding { control.send(.oneAddress(finding)) }
    }

    func answer(to question: KeyQuestion) -> KeyAnswer {
        switch question {
        case .usage: .usage(gatekeeper.keyUsage(at: clock.wall))
        case .judge(let tokens):
            .verdicts(tokens.map { TokenVerdict(gatekeeper.judge(token: $0.span, at: clock.wall)) })
        }
    }

    /// What was opened by who is blocked now: a block was set, or what spared him is no more.
    /// - Parameter change: whom it may be about.
    func cutBlockedStreams(by change: BlockDelta = .replaceAll([])) {
        streams.cut(blockedBy: change) { [unowned self] in gatekeeper.isBlocked($0, at: clock.now) }
    }

    /// What was opened with a token that is worth nothing any more.
    func cutDeadStreams() {
        streams.cutDead { [unowned self] in gatekeeper.isDead($0, at: clock.wall) }
    }

    /// A token named a key that is not here, and might be fetched. Whoever makes up keys must not keep the control thread busy.
    func reportMissingKey() {
        guard clock.now >= nextKeyReport else { return }
        nextKeyReport = clock.now + .seconds(1)
        control.send(.keyMissed(isIncomplete: gatekeeper.lacksKeys))
    }

    /// Now and then, not with each request.
    func countAssertions() { telemetry.metrics.countAssertions(gatekeeper.countAssertions()) }
}
