import Crypto
import Policy
import Settings
import Wire

/// A token through the verifier. The first byte chooses: the rest is a token as a client may make one up, or a header and,
/// behind a line feed, claims, which are signed here as an issuer would sign them. Then one byte of what was signed is
/// changed, as the next three say.
package final class TokenTarget: FuzzTarget {
    package static let name = "token"

    private let policy = TokenPolicy(House.rules.configuration)
    private let keys = KeySet.build(from: House.rules.configuration.tokens).keys
    private let verifier: TokenVerifier
    private let secret = Array(House.secret.utf8)
    private let signed = Set(House.signed.map { Array($0.utf8) })

    package init() { verifier = TokenVerifier(keys: keys, policy: policy) }

    package func check(_ input: [UInt8]) throws(Finding) {
        guard input.count >= 4 else { return }
        let rest = Array(input.dropFirst(4))
        // What was verified for an earlier input is forgotten.
        verifier.update(keys: keys, policy: policy)
        guard input[0] & 1 == 1 else { return try checkForeign(rest) }
        let parts = rest.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
        let token = token(header: Array(parts[0]), claims: parts.count == 2 ? Array(parts[1]) : [])
        try checkOwn(token)
        try checkChanged(token, at: Int(input[1]) | Int(input[2]) << 8, by: input[3])
    }

    private func verify(_ token: [UInt8]) -> TokenOutcome { verifier.verify(token.span, at: House.wall) }

    /// Whatever it is, it is accepted only if it was signed.
    private func checkForeign(_ token: [UInt8]) throws(Finding) {
        switch verify(token) {
        case .verified(let verified):
            let dot = token.lastIndex(of: UInt8(ascii: ".")) ?? 0
            let isOurs = verified.algorithm == .hs256 && isSignedWithSecret(token)
            try require(signed.contains(Array(token[..<dot])) || isOurs, "only what was signed is accepted")
            try checkVerified(verified, token)
        case .refused(let refusal):
            try checkRefused(refusal)
            try require(!refusal.isSigned || isSignedWithSecret(token), "what was not signed is not said to be")
        }
    }

    private func checkOwn(_ token: [UInt8]) throws(Finding) {
        switch verify(token) {
        case .verified(let verified):
            try require(verified.algorithm == .hs256, "a secret signs with its own algorithm only")
            try checkVerified(verified, token)
        case .refused(let refusal): try checkRefused(refusal)
        }
    }

    private func checkChanged(_ token: [UInt8], at place: Int, by mask: UInt8) throws(Finding) {
        guard mask != 0 else { return }
        var changed = token
        changed[place % token.count] ^= mask
        guard case .refused(let refusal) = verify(changed) else {
            throw Finding("a token that was changed is refused")
        }
        try require(!refusal.isSigned, "a token that was changed is not said to be signed")
        let dot = token.lastIndex(of: UInt8(ascii: "."))!
        let tokens = [Array(token[...dot]), Array(token[..<dot]), Array(token.dropLast())] + spellings(of: token)
        for other in tokens {
            guard case .refused = verify(other) else { throw Finding("a token has one signature in one spelling") }
        }
    }

    /// What a lenient decoder would take for the same signature: bits behind the last byte, padding, line ends.
    private func spellings(of token: [UInt8]) -> [[UInt8]] {
        let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8
        let ends = digits.filter { $0 != token.last }.map { Array(token.dropLast()) + [$0] }
        return ends + ["=", ".", "\n", "A"].map { token + Array($0.utf8) }
    }

    private func checkVerified(_ verified: VerifiedToken, _ token: [UInt8]) throws(Finding) {
        try require(
            verified.expiresAt.milliseconds + policyLeeway > House.wall.milliseconds, "a token that is over is refused")
        let fields = try PlainHead(Array("fields\r\n".utf8) + verified.identityFields + [13, 10])
        for field in fields.fields {
            try require(
                ["x-user-id", "x-user-role", "x-authenticated"].contains(field.name) && fields.count(field.name) == 1,
                "claims become the fields they are mapped to, once")
            try require(
                !field.value.isEmpty && field.value.allSatisfy { $0 >= 32 && $0 < 127 }, "claims become visible ASCII")
        }
        try require(fields.text("x-authenticated") == "true", "who was verified is said to be")
        guard case .verified(let again) = verify(token) else {
            throw Finding("a token that was accepted is accepted again")
        }
        try require(
            again.identityFields == verified.identityFields && again.subject == verified.subject,
            "a token says the same when it comes again")
    }

    private let policyLeeway = House.rules.configuration.tokens.leeway.milliseconds

    private func checkRefused(_ refusal: TokenRefusal) throws(Finding) {
        try require((refusal.keyID?.utf8.count ?? 0) <= 3 * 128, "an audit record is told of a bounded kid")
        try require((refusal.subject?.utf8.count ?? 0) <= 3 * 256, "an audit record is told of a bounded subject")
        guard !refusal.isSigned else { return }
        switch refusal.reason {
        case .invalidToken, .invalidSignature, .algNotAllowed, .unknownKid, .tokenTooLarge: break
        default: throw Finding("what an unsigned token claims decides nothing")
        }
    }

    // MARK: An issuer

    private func token(header: [UInt8], claims: [UInt8]) -> [UInt8] {
        let text = Base64URL.encode(header.span) + "." + Base64URL.encode(claims.span)
        let signature = hmac(Array(text.utf8))
        return Array("\(text).\(Base64URL.encode(signature.span))".utf8)
    }

    private func isSignedWithSecret(_ token: [UInt8]) -> Bool {
        guard let dot = token.lastIndex(of: UInt8(ascii: ".")) else { return false }
        return Base64URL.encode(hmac(Array(token[..<dot])).span).utf8.elementsEqual(token[(dot + 1)...])
    }

    /// HMAC-SHA256 written out from RFC 2104, for a key that is no longer than a block.
    private func hmac(_ message: [UInt8]) -> [UInt8] {
        let key = secret + [UInt8](repeating: 0, count: 64 - secret.count)
        let inner = Bytes.sha256((key.map { $0 ^ 0x36 } + message).span)
        return Bytes.sha256((key.map { $0 ^ 0x5c } + inner).span)
    }
}
