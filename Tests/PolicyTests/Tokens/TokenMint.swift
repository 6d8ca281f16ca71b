import Wire

@testable import Crypto
@testable import Policy
@testable import Settings

/// Makes tokens and configurations for the tests. Its HMAC is written out from RFC 2104, so that it shares nothing with
/// the code under test but SHA-256.
enum Mint {
    static let secret = "0123456789abcdef0123456789abcdef"
    /// The time at which most tests happen.
    static let now = WallTime(seconds: 1_700_000_000)

    static func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        func digest(_ bytes: [UInt8]) -> [UInt8] { Bytes.sha256(bytes.span) }
        var padded = key.count > 64 ? digest(key) : key
        padded += [UInt8](repeating: 0, count: 64 - padded.count)
        return digest(padded.map { $0 ^ 0x5c } + digest(padded.map { $0 ^ 0x36 } + message))
    }

    static func base64(_ text: [UInt8]) -> String { Base64URL.encode(text.span) }

    /// A token of the given header and payload, signed with HS256 whatever the header says.
    static func token(
        header: String = #"{"alg":"HS256","typ":"JWT"}"#, payload: [UInt8], secret: String = Mint.secret
    ) -> String {
        let signed = base64(Array(header.utf8)) + "." + base64(payload)
        return signed + "." + base64(hmac(Array(secret.utf8), Array(signed.utf8)))
    }

    static func token(
        header: String = #"{"alg":"HS256","typ":"JWT"}"#, _ payload: String, secret: String = Mint.secret
    ) -> String {
        token(header: header, payload: Array(payload.utf8), secret: secret)
    }

    /// Claims that are right at `now`, with `more` behind them (with a comma in front).
    static func claims(_ more: String = "") -> String {
        #"{"sub":"alice","iat":1699999990,"exp":1700003600\#(more)}"#
    }

    static func key(
        _ id: String = "main", secret: String = Mint.secret, algorithms: [String] = ["HS256"]
    ) -> Configuration.Tokens.Key {
        .init(id: id, source: .secret(Secret(secret)), algorithms: algorithms)
    }

    static func pem(_ id: String, _ pem: String, algorithms: [String] = []) -> Configuration.Tokens.Key {
        .init(id: id, source: .pem(path: "\(id).pem", contents: Secret(pem)), algorithms: algorithms)
    }

    static func jwks(_ id: String, _ keys: [String]) -> Configuration.Tokens.Key {
        let text = #"{"keys":[\#(keys.joined(separator: ","))]}"#
        return .init(id: id, source: .jwks(path: "\(id).json", contents: Secret(text)), algorithms: [])
    }

    static func tokens(
        _ keys: [Configuration.Tokens.Key] = [Mint.key()], issuers: [String] = [], audiences: [String] = [],
        leeway: Int = 0, maximumBytes: Int = 16384, cacheEntries: Int = 64, rolesClaim: String = "roles"
    ) -> Configuration.Tokens {
        .init(
            keys: keys, issuers: issuers, audiences: audiences, leeway: .seconds(leeway), maximumBytes: maximumBytes,
            cacheEntries: cacheEntries, rolesClaim: rolesClaim)
    }

    static let headers = [
        Configuration.IdentityHeader(name: "X-User-ID", value: .claim("sub")),
        Configuration.IdentityHeader(name: "X-User-Role", value: .claim("role")),
        Configuration.IdentityHeader(name: "X-Authenticated", value: .authenticated),
    ]

    static func route(
        _ authentication: Configuration.Authentication = .required, cookie: String? = nil,
        claims: [Configuration.RequiredClaim] = [], roles: [String] = []
    ) -> Configuration.Route {
        .init(
            name: "/", host: nil, path: "/", methods: [], upstream: 0, authentication: authentication, cookie: cookie,
            requiredClaims: claims, requiredRoles: roles, cors: nil)
    }

    static func verifier(
        _ tokens: Configuration.Tokens = Mint.tokens(), headers: [Configuration.IdentityHeader] = Mint.headers,
        routes: [Configuration.Route] = [Mint.route()]
    ) -> TokenVerifier {
        TokenVerifier(
            keys: KeySet.build(from: tokens).keys,
            policy: TokenPolicy(tokens: tokens, identityHeaders: headers, routes: routes))
    }
}

extension TokenVerifier {
    func verify(_ token: String, at now: WallTime = Mint.now) -> TokenOutcome {
        let bytes = Array(token.utf8)
        return verify(bytes.span, at: now)
    }

    /// The reason of a refusal; nil for a verified token.
    func reason(_ token: String, at now: WallTime = Mint.now) -> Reason? {
        switch verify(token, at: now) {
        case .verified: nil
        case .refused(let refusal): refusal.reason
        }
    }

    func verified(_ token: String, at now: WallTime = Mint.now) -> VerifiedToken? {
        switch verify(token, at: now) {
        case .verified(let verified): verified
        case .refused: nil
        }
    }

    func refusal(_ token: String, at now: WallTime = Mint.now) -> TokenRefusal? {
        switch verify(token, at: now) {
        case .verified: nil
        case .refused(let refusal): refusal
        }
    }
}
