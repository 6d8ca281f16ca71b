internal import Wire

/// What the issuer of a token has just said of it, kept with a request that is decided in several steps, as a login is: each of
/// them would ask him again where answers are not remembered.
package struct KnownAnswer {
    let token: [UInt8]
    let entry: IntrospectionCache.Entry

    /// A login that waits for longer in its line is as good as another request: what its issuer has taken back meanwhile
    /// counts.
    static let life = Interval.seconds(1)
}

extension TokenVerifier {
    /// The answer that holds until `forgetAnswer`.
    var justAnswered: KnownAnswer? {
        guard case .answer(let token, let entry) = introspections.fresh else { return nil }
        return KnownAnswer(token: token, entry: entry)
    }

    /// Until `forgetAnswer` the answer is what it was, unless it is old, or what it was judged by is.
    func recall(_ known: KnownAnswer, at now: WallTime) {
        guard case .good(let verified) = known.entry.finding, verified.generation == generation,
            known.entry.since <= now,
            now.milliseconds < known.entry.since.milliseconds + KnownAnswer.life.milliseconds
        else { return }
        introspections.fresh = .answer(known.token, known.entry)
    }
}
