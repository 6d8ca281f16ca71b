internal import Settings
internal import Transport

/// Whom connections that the gateway itself opens trust, one part for each kind of party, as one configuration says it. Read
/// as a whole before anything of that configuration is in force.
struct PartyTrust {
    let upstreams: UpstreamTLSLoader.Loaded
    /// Of sources of keys, by their names.
    let keys: [String: TLSClientContext]
    let introspection: TLSClientContext?
    let captcha: TLSClientContext?
    /// By the names of the feeds.
    let feeds: [String: TLSClientContext]

    init(_ configuration: Configuration) throws(CertificateLoader.Finding) {
        feeds = try FeedDesk.trust(for: configuration.feeds)
        upstreams = try UpstreamTLSLoader.load(configuration.upstreams)
        keys = try KeyStore.trust(for: configuration.tokens)
        let issuer = configuration.tokens.introspection
        introspection = try CertificateLoader.trust(
            for: issuer?.url, of: "tokens.introspection", authorities: issuer?.authoritiesPath)
        let provider = configuration.login.challenge?.siteverify
        captcha = try CertificateLoader.trust(
            for: provider?.url, of: "login.challenge.siteverify", authorities: provider?.authoritiesPath)
    }
}
