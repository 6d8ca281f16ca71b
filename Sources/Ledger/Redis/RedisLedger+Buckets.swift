internal import Policy
internal import Settings
internal import Wire

/// Buckets of rate limits that replicas share. Nobody waits for them, so nothing of a failure is made up for: whoever is not told
/// counts for itself.
extension RedisLedger {
    package func tell(_ takings: [BucketTaking], completion: @escaping (BucketLevels) -> Void) {
        guard let authority, !takings.isEmpty else { return completion(.unknown(takings.count)) }
        var levels = BucketLevels.unknown(takings.count)
        guard case .tracking = feed else {
            // Each of these writes would be told to every replica, or be one more key to look through.
            levels.problem = "rate limits are shared only where the store tells of changes by client tracking"
            return completion(levels)
        }
        var outstanding = takings.count
        for (index, taking) in takings.enumerated() {
            authority.run(.take, keys: [taking.name], taking.arguments) { [weak self] reply in
                switch reply {
                case .error(let error)?:
                    // It is a replica now: the session ends, of which the ledger's state tells.
                    if self?.wasDemoted(error) != true { levels.problem = self?.explain(error) ?? error }
                case let reply?:
                    levels.debts[index] = reply.integer.flatMap { taking.debt($0) }
                    if levels.debts[index] == nil { levels.problem = "an unexpected reply" }
                // The session ended, of which the ledger's state tells.
                case nil: break
                }
                outstanding -= 1
                if outstanding == 0 { completion(levels) }
            }
        }
    }

    /// A right that is missing is named as if it had been tried out. It is not tried when a session begins: whoever shares no
    /// rate limits needs none, and whoever does should not lose blocks for it.
    private func explain(_ error: String) -> String {
        let key = RedisKeyspace(prefix: configuration.keyPrefix).stored(SharedBucketName.prefix + RedisSession.probe)
        return RedisRemedy.explain(error, command: ["EVALSHA", key], user: configuration.username)
    }
}

extension BucketTaking {
    /// Longer than anybody waits; Lua counts in whole numbers up to 2^53, and with the time of day there is room for this.
    static let longest = Interval(nanoseconds: .max / 4)

    /// In microseconds, rounded so that no request is cheaper than its worth, and none older than it is.
    var arguments: [String] {
        func micros(_ interval: Interval, up: Bool) -> String {
            let bounded = min(max(interval, .zero), BucketTaking.longest)
            return String((bounded.nanoseconds + (up ? 999 : 0)) / 1_000)
        }
        return [micros(worth, up: true), micros(age, up: false), micros(furthest, up: true)]
    }

    /// What a healthy store can say; nil: this is something else.
    func debt(_ micros: Int64) -> Interval? {
        let most = min(furthest, BucketTaking.longest).nanoseconds / 1_000 + 1
        guard (0...most).contains(micros) else { return nil }
        return min(Interval(nanoseconds: micros * 1_000), furthest)
    }
}
