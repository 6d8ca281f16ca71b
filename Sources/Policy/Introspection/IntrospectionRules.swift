internal import Crypto
internal import Settings
internal import Wire

/// What a worker must know of introspection to judge what it comes to.
struct IntrospectionRules: Sendable {
    /// In the records, and for `revoke --key`: whom the gateway takes the word of.
    static let label = "introspection"
    /// Of those whose answer names no end: the latest one that a date can name. The endpoint is asked about them again.
    static let endless = WallTime(seconds: 253_402_300_799)

    let goodFor: Interval
    let badFor: Interval
    /// Tells the endpoint from another one: what this one has vouched for does not outlive it.
    let stamp: Int
    let marks: [TokenMark]

    init(_ introspection: Configuration.Tokens.Introspection) {
        goodFor = introspection.goodFor
        badFor = introspection.badFor
        marks = [TokenMark(.key, Array(Self.label.utf8).span)]
        var hasher = Hasher()
        hasher.combine(Self.label)
        hasher.combine(introspection.url)
        hasher.combine(introspection.clientID)
        stamp = hasher.finalize()
    }
}
