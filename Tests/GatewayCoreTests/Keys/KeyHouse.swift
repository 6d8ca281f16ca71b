import Policy
import TestSupport
import Wire

@testable import Settings

/// The keys `main`, `next`, and of the entry `idp` the keys `idp/e1` and `idp/o1`, at one moment.
enum KeyHouse {
    static let now = WallTime(text: "2026-11-29T12:00:00Z")!
    static let soon = WallTime(text: "2026-11-29T12:01:00Z")!
    static let later = WallTime(text: "2026-11-29T13:00:00Z")!
    static let mainSecret = "0123456789abcdef0123456789abcdef"
    static let nextSecret = "the next secret, as long as it must be"

    static func secret(_ id: String, _ secret: String, issuer: String? = nil) -> Configuration.Tokens.Key {
        .init(id: id, source: .secret(Secret(secret)), algorithms: ["HS256"], issuer: issuer)
    }

    static func jwks(_ id: String, _ keys: [String]) -> Configuration.Tokens.Key {
        let text = #"{"keys":[\#(keys.joined(separator: ","))]}"#
        return .init(id: id, source: .jwks(path: "\(id).json", contents: Secret(text)), algorithms: [])
    }

    static let all = [
        secret("main", mainSecret), secret("next", nextSecret), jwks("idp", [TestKeys.p256JWK, TestKeys.ed25519JWK]),
    ]

    static func tokens(
        _ keys: [Configuration.Tokens.Key] = all, issuers: [String] = [], audiences: [String] = []
    ) -> Configuration.Tokens {
        .init(
            keys: keys, issuers: issuers, audiences: audiences, leeway: .zero, maximumBytes: 16_384, cacheEntries: 64,
            rolesClaim: "roles")
    }

    static func record(
        _ name: String, from: WallTime? = nil, _ cutoff: RevocationCutoff = .everyToken
    ) -> RevocationRecord {
        RevocationRecord(
            target: RevocationTarget(.key, name)!, cutoff: cutoff, from: from, origin: .command, reason: "r",
            actor: "a", since: now, deadline: .never)
    }

    static func ring(
        _ revocations: [RevocationRecord] = [], keys: [Configuration.Tokens.Key] = all, used: Set<String> = []
    ) -> KeyRing {
        KeyRing(KeySet.build(from: tokens(keys)).keys, revocations: revocations, used: used)
    }
}
