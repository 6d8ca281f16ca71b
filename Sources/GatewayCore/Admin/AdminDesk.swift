internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Does what an operator asked for, on the control thread, and says what became of it.
final class AdminDesk {
    unowned let gateway: Gateway

    /// How long an answer waits for the workers to have a block in force: what follows on it finds it done.
    private static let patience = Interval.milliseconds(250)

    init(_ gateway: Gateway) { self.gateway = gateway }

    /// - Parameter completion: called once, before this returns or later.
    func carryOut(_ order: AdminRouter.Order, completion: @escaping (AdminResponse) -> Void) {
        let wall = WallTime.now()
        switch order.command {
        case .health:
            let health = gateway.health
            completion(
                AdminResponse(
                    status: health.status, contentType: "application/json", body: Array(health.body(at: wall).utf8)))
        case .detailedHealth:
            let snapshot = gateway.snapshot
            completion(
                .json(AdminReports.detailedHealth(snapshot, at: wall), status: snapshot.health.status))
        case .status: completion(.json(AdminReports.status(gateway.snapshot, at: wall)))
        case .metrics:
            completion(
                .text(gateway.exposition(), contentType: "text/plain; version=0.0.4; charset=utf-8"))
        case .ready:
            let isReady = gateway.isServing
            completion(.json(["status": .string(gateway.snapshot.word)], status: isReady ? 200 : 503))
        case .live: completion(.json(["status": "alive"]))
        case .blocks(let limit):
            completion(
                .json(AdminReports.blocks(gateway.ledger.blocks(), limit: limit, now: .now(), wall: wall)))
        case .locks(let limit):
            completion(
                .json(
                    AdminReports.locks(
                        gateway.ledger.locks(), under: gateway.loginRules, limit: limit, now: .now(), wall: wall)))
        // What this process would set now, nobody would know of in a moment.
        case let command where command.changesState && !gateway.ownsState:
            completion(AdminProblem.stateIsLeaving.response)
        case .block(let network, let duration, let reason):
            block(network, duration, reason, order.actor, completion)
        case .unblock(let target): unblock(target, order.actor, completion)
        case .unlock(let wanted): unlock(wanted, order.actor, completion)
        case .revocations(let limit):
            completion(
                .json(AdminReports.revocations(gateway.ledger.revocations(), limit: limit, now: .now(), wall: wall)))
        case .revoke(let wanted): revoke(wanted, order.actor, completion)
        case .unrevoke(let target): unrevoke(target, order.actor, completion)
        case .lockdowns:
            let records = gateway.lockdowns.records.values
            completion(.json(["lockdowns": AdminReports.lockdowns(records, now: .now(), wall: wall)]))
        case .feeds: completion(.json(["feeds": AdminReports.feeds(gateway.feeds.feeds)]))
        case .threats: completion(.json(ThreatReports.all(gateway, at: wall)))
        case .testWebhook: testWebhook(order.actor, completion)
        case .updateFeeds(let wanted): updateFeeds(wanted, order.actor, completion)
        case .allowances:
            let records = gateway.allowances.records.values
            completion(.json(["allowances": AdminReports.allowances(records, now: .now(), wall: wall)]))
        case .allow(let wanted): allow(wanted, order.actor, completion)
        case .disallow(let network): disallow(network, order.actor, completion)
        case .lockDown(let wanted): lockDown(wanted, order.actor, completion)
        case .unlockRoute(let name): unlock(name, order.actor, completion)
        case .breakGlass:
            let records = gateway.breakGlass.records.values
            completion(.json(["break_glass": AdminReports.breakGlass(records, now: .now(), wall: wall)]))
        case .openByBreakGlass(let wanted): openByBreakGlass(wanted, order.actor, completion)
        case .endBreakGlass(let route): endBreakGlass(route, order.actor, completion)
        case .rateLimits: rateLimits(completion)
        case .setRateLimit(let wanted): setRateLimit(wanted, order.actor, completion)
        case .restoreRateLimit(let name): restoreRateLimit(name, order.actor, completion)
        case .keys: keys(completion)
        case .addKey(let key): add(key, order.actor, completion)
        case .keyStep(let step): carryOut(step, order.actor, completion)
        case .verifyKeys(let token): verifyKeys(token, completion)
        case .reload: reload(order.actor, completion)
        case .upgrade: upgrade(order.actor, completion)
        case .assertionKeys: completion(assertionKeys())
        case .rotateAssertionKey(let isCompromised): rotate(isCompromised, order.actor, at: wall, completion)
        case .logLevel(let wanted): setLogLevel(wanted, order.actor, completion)
        }
    }

    private func block(
        _ network: IPNetwork, _ duration: BlockDuration, _ reason: String, _ actor: AdminActor,
        _ completion: @escaping (AdminResponse) -> Void
    ) {
        let configuration = gateway.configuration
        let spared: [IPNetwork]
        switch BlockScope(of: network, neverBlocked: configuration.neverBlock + configuration.trustedProxies) {
        case .whole: spared = []
        case .allBut(let networks): spared = networks
        case .nothing(let wider): return completion(AdminProblem.neverBlocked(network, wider).response)
        }
        // The block stays when their time is over.
        let allowed = gateway.allowances.networks.filter { $0.covers(network) || network.covers($0) }
        let length: Interval?
        switch duration {
        case .byRule: length = configuration.login.block
        case .length(let given): length = given
        case .permanent: length = nil
        }
        gateway.ledger.block(network, for: length, reason: reason, actor: actor.description) { [unowned self] outcome in
            whenInForce {
                completion(
                    .json(
                        [
                            "block": AdminReports.block(outcome.record, now: .now(), wall: .now()),
                            "spared": .array((spared + allowed).map { .string($0.description) }),
                            "decided_by": .string(outcome.decider.rawValue),
                        ], status: 201))
            }
        }
    }

    private func unblock(
        _ target: UnblockTarget, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        gateway.ledger.unblock(target, actor: actor.description) { [unowned self] outcome in
            // Each block that was lifted has its own record; this one tells of the command that found none to lift.
            if outcome.lifted.isEmpty {
                switch target {
                case .network(let network):
                    record("unblock", "\(network) was not blocked", actor, of: network.description)
                case .all: record("unblock", "no address was blocked", actor)
                // Of these `unlock` tells.
                case .accounts: break
                }
            }
            whenInForce {
                let lifted = outcome.lifted.map { AdminReports.block($0, now: .now(), wall: .now()) }
                completion(
                    .json([
                        "count": .integer(lifted.count), "lifted": .array(lifted),
                        "still_blocked_by": .array(self.stillBlocking(target).map { .string($0.description) }),
                        "still_on_feeds": .array(self.feeds(naming: target).map { .string($0) }),
                        "counted_for": JSONValue(self.prefix(countedFor: target)?.description),
                        "locked_accounts": .integer(self.lockedAccounts(from: target)),
                        "decided_by": .string(outcome.decider.rawValue),
                    ]))
            }
        }
    }

    /// The prefix that failures of the address are counted for, and which must be named to forget them.
    private func prefix(countedFor target: UnblockTarget) -> IPNetwork? {
        guard case .network(let network) = target, network.isSingleAddress else { return nil }
        let subject = gateway.loginRules.plain.subject(of: network.base)
        return subject == network ? nil : subject
    }

    /// Accounts that stay locked for the addresses: that is another matter than their block.
    private func lockedAccounts(from target: UnblockTarget) -> Int {
        guard case .network(let network) = target else { return 0 }
        return gateway.ledger.locks().compactMap(\.subject.from).count { $0.covers(network) || network.covers($0) }
    }

    /// Wider blocks that hold the target all the same: lifting one address out of a network is not possible.
    private func stillBlocking(_ target: UnblockTarget) -> [IPNetwork] {
        guard case .network(let network) = target else { return [] }
        return gateway.ledger.blocks().map(\.network).filter { $0 != network && $0.covers(network) }
    }

    /// Feeds that block the address all the same.
    private func feeds(naming target: UnblockTarget) -> [String] {
        guard case .network(let network) = target, network.isSingleAddress else { return [] }
        return gateway.feeds.blocking(network.base)
    }

    private func reload(_ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        gateway.reloadConfiguration { [unowned self] outcome in
            switch outcome {
            case .notServing: completion(AdminProblem.notServing.response)
            case .refused(let found):
                record("configuration_refused", "The new configuration has mistakes", actor)
                completion(AdminProblem.configurationHasMistakes(JSONValue(found)).response)
            case .applied(let found):
                record("configuration_reloaded", "The configuration was reloaded", actor)
                completion(
                    .json([
                        "reloaded": true, "generation": .integer(gateway.generation.number),
                        "restart_needed": .array(gateway.restartNeeded.map { .string($0) }),
                        "diagnostics": JSONValue(found),
                    ]))
            }
        }
    }

    private func upgrade(_ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        gateway.upgradeProgram { [unowned self] outcome in
            switch outcome {
            case .notServing: completion(AdminProblem.notServing.response)
            case .underWay: completion(AdminProblem.upgradeIsUnderWay.response)
            case .failed(let reason):
                record("upgrade_failed", "The new program did not take over", actor)
                completion(AdminProblem.upgradeFailed(reason).response)
            case .handedOver(let process, let version):
                record("upgraded", "Process \(process) serves in place of this one", actor)
                completion(
                    .json(["upgraded": true, "process": .integer(Int(process)), "version": .string(version)]))
            }
        }
    }

    func whenInForce(_ proceed: @escaping () -> Void) {
        gateway.broadcast.whenApplied(within: AdminDesk.patience, now: .now(), proceed)
    }

    /// A record of its own, where the ledger writes none.
    func record(_ action: String, _ detail: String, _ actor: AdminActor, of target: String? = nil) {
        gateway.audit.record(AuditOperation(action, detail, by: actor.description, of: target))
    }
}
