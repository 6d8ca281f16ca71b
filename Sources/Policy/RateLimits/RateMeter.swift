package import Wire

/// Where the buckets are: for all workers together, in memory that is bounded.
package protocol RateMeter: AnyObject, Sendable {
    /// Takes a token for one request. Never waits.
    /// - Parameter key: whose bucket, as a number that nobody outside can choose.
    func take(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer

    /// What `take` would answer.
    func look(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer
}

package struct RateAnswer: Hashable, Sendable {
    package var isAllowed: Bool
    package var level: BucketLevel

    package init(isAllowed: Bool, level: BucketLevel) {
        self.isAllowed = isAllowed
        self.level = level
    }
}
