internal import Crypto
internal import Policy
internal import Settings
internal import Wire

/// A token that the gateway makes for itself with a shared secret, to find out what requests with that key are told now. It
/// lives a minute and never leaves the process.
enum ProbeToken {
    static let subject = "gateway-key-probe"

    /// Nil for public keys: only their issuer can sign.
    static func make(_ key: KeySet.Key, for tokens: Configuration.Tokens, at now: WallTime) -> [UInt8]? {
        guard let algorithm = key.algorithms.members.first else { return nil }
        var header: [JSONValue.Member] = [.init("alg", .string(algorithm.name)), .init("typ", "JWT")]
        if let kid = key.kid { header.append(.init("kid", .string(String(decoding: kid, as: UTF8.self)))) }
        var claims: [JSONValue.Member] = [
            .init("sub", .string(subject)), .init("iat", .integer(Int(now.seconds))),
            .init("exp", .integer(Int(now.seconds) + 60)),
        ]
        let issuer = key.issuer.map { String(decoding: $0, as: UTF8.self) } ?? tokens.issuers.first
        if let issuer { claims.append(.init("iss", .string(issuer))) }
        if let audience = tokens.audiences.first { claims.append(.init("aud", .string(audience))) }
        let signed = encoded(.object(header)) + "." + encoded(.object(claims))
        guard let code = key.material.code(of: Array(signed.utf8).span, algorithm) else { return nil }
        return Array("\(signed).\(Base64URL.encode(code.span))".utf8)
    }

    private static func encoded(_ value: JSONValue) -> String { Base64URL.encode(value.bytes.span) }
}
