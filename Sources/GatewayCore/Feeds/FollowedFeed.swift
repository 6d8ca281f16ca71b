internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// One feed with all that is known of it. On the control thread.
final class FollowedFeed {
    var configuration: Configuration.Feed
    /// For https URLs.
    var tls: TLSClientContext?
    /// In force; nil: there was no good list yet.
    private(set) var table: FeedTable?
    private(set) var digest: [UInt8]?
    /// When the list was found good the last time.
    private(set) var updatedAt: WallTime?
    /// What went wrong the last time; nil: nothing.
    private(set) var problem: String?
    /// In a row.
    private(set) var failures = 0
    /// The file as it was looked at last.
    var stamp: FileStamp?
    /// When the URL is due.
    var due = Instant(nanoseconds: .min)
    /// Under way; its ticket tells its answer from that of one which nobody waits for any more.
    var fetch: DocumentFetch?
    var reading: Int?
    /// An operator said so of the update that is under way.
    var mayShrinkOnce = false
    /// An update was ordered while an older one was under way.
    var isWantedAgain = false

    init(_ configuration: Configuration.Feed, tls: TLSClientContext?) {
        self.configuration = configuration
        self.tls = tls
    }

    var isBusy: Bool { fetch != nil || reading != nil }
    /// Of a file that is only looked at nobody needs to know.
    private var isUpdating: Bool { fetch != nil || reading != nil && stamp == nil }

    /// Whatever is known of the source, it is asked with the next look.
    func comesDue() {
        stamp = nil
        due = Instant(nanoseconds: .min)
    }

    func took(_ table: FeedTable, digest: [UInt8], at wall: WallTime) {
        self.table = table
        self.digest = digest
        confirmed(at: wall)
    }

    /// The copy of an earlier process.
    func restored(_ table: FeedTable, digest: [UInt8]) {
        self.table = table
        self.digest = digest
    }

    func confirmed(at wall: WallTime) {
        updatedAt = wall
        problem = nil
        failures = 0
    }

    /// True: that is news.
    func failed(_ problem: String) -> Bool {
        failures += 1
        defer { self.problem = problem }
        return self.problem != problem
    }

    /// To the next fetch: soon after a failure, then less often.
    var pause: Interval {
        guard failures > 0 else { return configuration.interval }
        return min(configuration.interval, .seconds(30 << min(failures - 1, 7)))
    }

    func report() -> JSONValue {
        let source: String
        switch configuration.source {
        case .file(let path): source = path
        case .url(let url): source = url.origin
        }
        let state = table == nil ? "none" : problem == nil && updatedAt != nil ? "fresh" : "stale"
        return [
            "name": .string(configuration.name), "source": .string(source),
            "action": .string(configuration.action.rawValue), "state": .string(state),
            "entries": .integer(table?.count ?? 0), "spared": .integer(table?.spared ?? 0),
            "updated_at": JSONValue(updatedAt.map(\.text)), "failures": .integer(failures),
            "problem": JSONValue(problem), "updating": .boolean(isUpdating),
        ]
    }
}
