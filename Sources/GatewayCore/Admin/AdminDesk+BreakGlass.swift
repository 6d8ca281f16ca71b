internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    func openByBreakGlass(
        _ order: BreakGlassOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        guard gateway.isServing else { return completion(AdminProblem.notServing.response) }
        let routes = gateway.configuration.routes
        let names = routes.map(\.name)
        guard names.contains(order.route) else {
            return completion(AdminProblem.noSuchRoute(order.route, names).response)
        }
        func refuse(_ problem: AdminProblem) {
            record("break_glass_refused", "\(order.route) stays as it is: \(problem.title)", actor)
            completion(problem.response)
        }
        guard let limit = BreakGlassDesk.limit(of: order.route, in: routes) else {
            return refuse(.breakGlassIsOff(order.route))
        }
        guard order.duration <= limit else {
            return refuse(.breakGlassTooLong(order.route, limit.secondsRoundedUp))
        }
        let (now, wall) = (Instant.now(), WallTime.now())
        let glass = BreakGlass(route: order.route, allowed: order.allowed, until: now + order.duration)
        let opened = BreakGlassRecord(glass: glass, reason: order.reason, actor: actor.description, since: wall)
        gateway.breakGlass.open(opened, at: now, wall: wall)
        whenInForce {
            completion(.json(["break_glass": opened.report(now: .now(), wall: .now())], status: 201))
        }
    }

    func endBreakGlass(_ route: String, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let open = gateway.breakGlass.records
        // Who has misspelt it must not believe that it is closed.
        guard let former = open[route] else {
            return completion(AdminProblem.noBreakGlass(route, Array(open.keys)).response)
        }
        gateway.breakGlass.end(route, by: actor.description, because: "command")
        whenInForce { completion(.json(["ended": former.report(now: .now(), wall: .now())])) }
    }
}

extension AdminReports {
    /// In the order of their ends.
    static func breakGlass(_ records: some Sequence<BreakGlassRecord>, now: Instant, wall: WallTime) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.glass.deadline == b.glass.deadline
                ? a.glass.route < b.glass.route : a.glass.deadline < b.glass.deadline
        }
        return .array(sorted.map { $0.report(now: now, wall: wall) })
    }
}
