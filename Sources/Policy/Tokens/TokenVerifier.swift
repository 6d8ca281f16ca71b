internal import Crypto
package import Wire

/// Verifies the tokens of one worker. Not `Sendable`: it owns OpenSSL contexts, scratch buffers and the cache.
package final class TokenVerifier {
    private var keys: KeySet
    private var policy: TokenPolicy
    private var cache: TokenCache
    private var header = JOSEHeaderReader()
    /// The keys for the header that was read last; nil: not known.
    private var selection: KeySet.Selection?
    private var claims: ClaimScanner
    /// By key and algorithm, made when first needed.
    private var checkers: [SignatureChecker?]
    /// Changes with the keys and the policy; what was verified under another one is forgotten.
    private(set) var generation: UInt32 = 1

    package init(keys: KeySet, policy: TokenPolicy) {
        self.keys = keys
        self.policy = policy
        cache = TokenCache(capacity: policy.cacheEntries)
        claims = ClaimScanner(capacity: policy.maximumBytes)
        checkers = TokenVerifier.noCheckers(for: keys)
    }

    /// Takes new keys and a new policy. Cached tokens are judged again at their next use, so a key that was removed
    /// stops at once.
    package func update(keys: KeySet, policy: TokenPolicy) {
        if policy.cacheEntries != self.policy.cacheEntries { cache = TokenCache(capacity: policy.cacheEntries) }
        if policy.maximumBytes != self.policy.maximumBytes { claims = ClaimScanner(capacity: policy.maximumBytes) }
        self.keys = keys
        self.policy = policy
        checkers = TokenVerifier.noCheckers(for: keys)
        selection = nil
        generation &+= 1
    }

    /// The last call of `verify` met a token that it had verified before.
    private(set) var lastWasRemembered = false

    /// Verified tokens that are remembered now.
    package var cachedTokens: Int { cache.count }

    private static func noCheckers(for keys: KeySet) -> [SignatureChecker?] {
        [SignatureChecker?](repeating: nil, count: keys.keys.count * SignatureAlgorithm.allCases.count)
    }

    /// Judges the compact serialisation of a JWS with claims (RFC 7519 §7.2). Without allocation when the same token
    /// was verified before.
    package func verify(_ token: Span<UInt8>, at now: WallTime) -> TokenOutcome {
        lastWasRemembered = false
        guard token.count <= policy.maximumBytes else { return .refused(TokenRefusal(.tokenTooLarge)) }
        if let known = cache.find(token, generation: generation) {
            let leeway = policy.leewayMilliseconds
            if !known.dates.isExpired(at: now, leeway: leeway), !known.dates.isTooEarly(at: now, leeway: leeway) {
                lastWasRemembered = true
                return .verified(known)
            }
            cache.remove(token)
        }
        let outcome = verifyUnknown(token, at: now)
        if case .verified(let verified) = outcome { cache.insert(token, verified) }
        return outcome
    }

    // MARK: Tokens not seen before

    private func verifyUnknown(_ token: Span<UInt8>, at now: WallTime) -> TokenOutcome {
        let dot = UInt8(ascii: ".")
        guard let first = Bytes.index(of: dot, in: token),
            let second = Bytes.index(of: dot, in: token, from: first + 1),
            // Five parts are an encrypted token (RFC 7516 §3), any other number is none at all.
            Bytes.index(of: dot, in: token, from: second + 1) == nil
        else { return .refused(TokenRefusal(.invalidToken)) }
        let payload = token.extracting(first + 1..<second)

        let algorithm: SignatureAlgorithm
        let protected = token.extracting(0..<first)
        if !header.isKnown(protected) { selection = nil }
        switch header.read(protected) {
        case .header(let found): algorithm = found
        case .refused(let reason): return .refused(describe(TokenRefusal(reason), payload))
        }
        var refusal = TokenRefusal(.invalidSignature)
        refusal.algorithm = algorithm
        let candidates: [Int]
        let selection = selection ?? keys.select(algorithm, kid: header.keyID)
        self.selection = selection
        switch selection {
        case .candidates(let found): candidates = found
        case .refused(let reason):
            refusal.reason = reason
            return .refused(describe(refusal, payload))
        }
        let signed = token.extracting(0..<second)
        let signer = signer(of: signed, token.extracting(second + 1..<token.count), algorithm, candidates)
        guard let signer else { return .refused(describe(refusal, payload)) }

        refusal.isSigned = true
        guard claims.scan(base64URL: payload, policy.plan) else {
            refusal.reason = .invalidToken
            return .refused(describe(refusal, nil))
        }
        switch policy.judge(claims, at: now) {
        case .refused(let reason):
            refusal.reason = reason
            return .refused(describeScanned(refusal))
        case .accepted(let dates):
            guard let fields = policy.identityFields.write(claims) else {
                refusal.reason = .tokenTooLarge
                return .refused(describeScanned(refusal))
            }
            return .verified(
                VerifiedToken(
                    identityFields: fields, subject: policy.subject(of: claims), dates: dates, algorithm: algorithm,
                    keyLabel: keys.keys[signer].label, satisfied: policy.requirements.judge(claims),
                    generation: generation))
        }
    }

    /// The candidate under which the signature is right.
    private func signer(
        of signed: Span<UInt8>, _ text: Span<UInt8>, _ algorithm: SignatureAlgorithm, _ candidates: [Int]
    ) -> Int? {
        // An RSA signature of the largest key that is accepted; what is longer is none.
        var signature: [1024 of UInt8] = .init(repeating: 0)
        var span = signature.mutableSpan
        guard let count = Base64URL.decode(text, into: &span), count > 0 else { return nil }
        for key in candidates {
            let index = key * SignatureAlgorithm.allCases.count + Int(algorithm.rawValue)
            if checkers[index] == nil {
                checkers[index] = try? SignatureChecker(keys.keys[key].material, algorithm)
            }
            if let checker = checkers[index], checker.verifies(signature.span.extracting(0..<count), of: signed) {
                return key
            }
        }
        return nil
    }

    // MARK: What a refused token said

    /// Adds what the payload claims, when it can be read.
    private func describe(_ refusal: TokenRefusal, _ payload: Span<UInt8>?) -> TokenRefusal {
        guard let payload, claims.scan(base64URL: payload, policy.plan) else { return withKeyID(refusal) }
        return describeScanned(refusal)
    }

    private func describeScanned(_ refusal: TokenRefusal) -> TokenRefusal {
        var refusal = withKeyID(refusal)
        if case .at(let time) = claims.date(policy.registered.issuedAt) { refusal.issuedAt = time }
        if case .at(let time) = claims.date(policy.registered.expiresAt) { refusal.expiresAt = time }
        let subject = policy.subject(of: claims)
        if !subject.isEmpty { refusal.subject = TokenVerifier.text(subject, atMost: 256) }
        return refusal
    }

    private func withKeyID(_ refusal: TokenRefusal) -> TokenRefusal {
        var refusal = refusal
        if refusal.algorithm != nil { refusal.keyID = header.keyID.map { TokenVerifier.text($0, atMost: 128) } }
        return refusal
    }

    /// The start of UTF-8 text, cut between characters.
    private static func text(_ bytes: [UInt8], atMost limit: Int) -> String {
        var end = min(limit, bytes.count)
        while end > 0, end < bytes.count, bytes[end] & 0xc0 == 0x80 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}
