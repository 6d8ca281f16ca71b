internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    /// The answer comes when they have settled, or says of some that they are `updating`.
    func updateFeeds(_ order: FeedOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let isKnown = gateway.feeds.update(order) { [unowned self] in
            whenInForce { completion(.json(["feeds": AdminReports.feeds(self.gateway.feeds.feeds)])) }
        }
        guard isKnown else {
            let names = gateway.feeds.feeds.map(\.configuration.name)
            return completion(AdminProblem.noSuchFeed(order.feed, names).response)
        }
        let what = order.feed.map { "the feed \($0)" } ?? "all feeds"
        let size = order.mayShrink ? ", whatever their size" : ""
        record("feeds_update", "an update of \(what) was ordered\(size)", actor)
    }
}

extension AdminProblem {
    static func noSuchFeed(_ name: String?, _ names: [String]) -> AdminProblem {
        guard let name, !names.isEmpty else {
            return AdminProblem(404, .noRoute, "There is no feed", "the configuration has no \"feeds\"")
        }
        return AdminProblem(
            404, .noRoute, "There is no such feed",
            "no feed is called \"\(name.prefix(64))\"; there are \(names.joined(separator: ", "))")
    }
}

extension AdminReports {
    static func feeds(_ feeds: [FollowedFeed]) -> JSONValue {
        .array(feeds.map { $0.report() })
    }
}
