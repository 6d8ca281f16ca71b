package import Wire

/// One worker's counters. Written by that worker alone with plain loads and stores, read by the control thread at a
/// scrape; nothing is allocated and nobody waits. Let go by the worker when no exchange of its configuration is left: the
/// registry keeps the totals.
package final class MetricShard: Sendable {
    let catalog: MetricCatalog
    let cells: AtomicTable
    private let statusIndices: [UInt8]
    private let requests: Int
    private let durations: Int
    private let authFailures: Int
    private let authSuccess: Int
    private let refusals: Int
    private let codes: Int
    private let statuses: Int

    init(_ catalog: MetricCatalog) {
        self.catalog = catalog
        cells = AtomicTable(count: catalog.count)
        statusIndices = StatusLabel.indices
        requests = catalog.start(of: .requests)
        durations = catalog.start(of: .duration)
        authFailures = catalog.start(of: .authFailures)
        authSuccess = catalog.start(of: .authSuccess)
        refusals = catalog.start(of: .refusals)
        codes = catalog.families[.refusals]!.dimensions[1].values.count
        statuses = StatusLabel.values.count
    }

    /// An exchange is over. `route` and all other indices are those of the catalog's lists; nil: none matched. `status`
    /// 0: the client went away before there was one.
    package func countRequest(route: Int?, method: MethodLabel, status: Int, duration: Interval) {
        let place = (route ?? -1) + 1
        let known = statusIndices.count
        let code = Int(statusIndices[status >= 0 && status < known ? status : 0])
        cells.add(1, to: requests + (place * MethodLabel.count + method.index) * statuses + code)
        let nanoseconds = Int(max(0, duration.nanoseconds))
        let histogram = durations + place * Buckets.cells
        cells.add(1, to: histogram + Buckets.index(of: nanoseconds))
        cells.add(nanoseconds, to: histogram + Buckets.cells - 1)
    }

    /// The gateway refused a request itself.
    package func countRefusal(stage: Int, code: Int) { cells.add(1, to: refusals + stage * codes + code) }

    /// A login failed, or a token was refused or missing.
    package func countAuthFailure(reason: Int) { cells.add(1, to: authFailures + reason) }

    package func countAuthSuccess(_ kind: AuthSuccessKind) { cells.add(1, to: authSuccess + (kind == .login ? 0 : 1)) }

    package func countExpiredToken(_ result: ExpiredTokenResult, _ age: ExpiredAge) {
        let ages = ExpiredAge.allCases
        let row = ExpiredTokenResult.allCases.firstIndex(of: result)! * ages.count
        raise(.expiredTokens, row + ages.firstIndex(of: age)!)
    }

    /// - Parameter reason: an index into the catalog's list.
    package func countBreakGlass(_ reason: Int) { raise(.breakGlass, reason) }
    /// - Parameter limit: an index into the catalog's list.
    package func countRateLimited(_ limit: Int) { raise(.rateLimited, limit) }
    /// Of a feed that the catalog does not know, since a reload is under way, nothing is counted.
    package func countFeedRequest(_ feed: String, _ result: FeedResult) {
        guard let place = catalog.feeds.firstIndex(of: feed) else { return }
        raise(.feedRequests, place * FeedResult.allCases.count + (result == .refused ? 0 : 1))
    }
    package func countLoginWithoutAccount() { raise(.loginsWithoutAccount) }
    package func countAssertions(_ count: Int) { if count > 0 { raise(.assertions, by: count) } }
    /// A failed login was counted against its address.
    package func countLoginFailure() { raise(.loginFailures) }

    package func connectionOpened() {
        raise(.connections)
        raise(.connectionsAccepted)
    }
    package func connectionClosed() { raise(.connections, by: -1) }

    package func countProxyHeader(_ result: ProxyHeaderResult) {
        raise(.proxyHeaders, ProxyHeaderResult.allCases.firstIndex(of: result)!)
    }

    package func countCheck(_ result: CheckResult) { raise(.checks, CheckResult.allCases.firstIndex(of: result)!) }

    package func tunnelOpened() { raise(.tunnels) }
    package func tunnelClosed(_ end: TunnelEnd) {
        raise(.tunnels, by: -1)
        raise(.tunnelsClosed, TunnelEnd.allCases.firstIndex(of: end)!)
    }

    /// - Parameter result: an index into the catalog's list of handshakes.
    package func countHandshake(_ result: Int) { raise(.tlsHandshakes, result) }

    /// A connection was let go before its time.
    /// - Parameter reason: an index into the catalog's list.
    package func countLetGo(_ reason: Int) { raise(.letGo, reason) }
    /// A listener found no descriptor for whoever was waiting.
    package func countAcceptPause() { raise(.acceptPauses) }

    package func upstreamConnected(_ upstream: Int) {
        raise(.upstreamConnects, upstream)
        raise(.upstreamConnections, upstream)
    }
    package func upstreamDisconnected(_ upstream: Int) { raise(.upstreamConnections, upstream, by: -1) }
    package func upstreamConnectFailed(_ upstream: Int) { raise(.upstreamConnectFailures, upstream) }
    package func upstreamHandshaken(_ upstream: Int, _ result: UpstreamHandshake) {
        let results = UpstreamHandshake.allCases
        raise(.upstreamHandshakes, upstream * results.count + results.firstIndex(of: result)!)
    }
    /// No valid answer in time.
    package func upstreamFailed(_ upstream: Int) { raise(.upstreamFailures, upstream) }
    package func upstreamRetried(_ upstream: Int) { raise(.upstreamRetries, upstream) }
    package func upstreamRetryDenied(_ upstream: Int) { raise(.upstreamRetriesDenied, upstream) }

    /// What does not happen with every request.
    private func raise(_ family: Family, _ offset: Int = 0, by amount: Int = 1) {
        cells.add(amount, to: catalog.start(of: family) + offset)
    }
}
