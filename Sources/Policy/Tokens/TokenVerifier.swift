internal import Crypto
package import Wire

/// Verifies the tokens of one worker. Not `Sendable`: it owns OpenSSL contexts, scratch buffers and the cache.
package final class TokenVerifier {
    private var keys: KeySet
    private(set) var policy: TokenPolicy
    private(set) var cache: TokenCache
    private(set) var revocations = RevocationTable()
    /// A revocation that was announced for later has come into force, and `advance` has not told it yet.
    private var hasBegun = false
    /// By key.
    private(set) var usage: [KeyUsage]
    private var stamps: [Int]
    private var keyMarks: [[TokenMark]]
    private var header = JOSEHeaderReader()
    /// The keys for the header that was read last; nil: not known.
    private var selection: KeySet.Selection?
    var claims: ClaimScanner
    /// What was found out of opaque tokens.
    var introspections: IntrospectionCache
    /// By key and algorithm, made when first needed.
    private var checkers: [SignatureChecker?]
    /// How far ahead of ours tokens were that a source of keys has signed, the most since somebody asked, in milliseconds.
    private var leads: [String: Int64] = [:]
    /// Changes with the keys and the policy; what was verified under another one is forgotten.
    private(set) var generation: UInt32 = 1

    package init(keys: KeySet, policy: TokenPolicy) {
        self.keys = keys
        self.policy = policy
        cache = TokenCache(capacity: policy.cacheEntries)
        introspections = IntrospectionCache(capacity: policy.cacheEntries)
        claims = ClaimScanner(capacity: policy.maximumBytes)
        checkers = TokenVerifier.noCheckers(for: keys)
        usage = keys.keys.map { KeyUsage(key: $0.label) }
        stamps = keys.keys.map(\.stamp)
        keyMarks = keys.keys.map(\.marks)
    }

    /// Takes new keys and a new policy. Cached tokens are judged again at their next use, so a key that was removed
    /// stops at once.
    package func update(keys: KeySet, policy: TokenPolicy) {
        if policy.cacheEntries != self.policy.cacheEntries { cache = TokenCache(capacity: policy.cacheEntries) }
        if policy.maximumBytes != self.policy.maximumBytes { claims = ClaimScanner(capacity: policy.maximumBytes) }
        self.keys = keys
        self.policy = policy
        introspections = IntrospectionCache(capacity: policy.cacheEntries)
        checkers = TokenVerifier.noCheckers(for: keys)
        usage = KeyUsage.carried(usage, to: keys)
        stamps = keys.keys.map(\.stamp)
        keyMarks = keys.keys.map(\.marks)
        selection = nil
        generation &+= 1
    }

    package func update(keys: KeySet) {
        guard keys != self.keys else { return }
        update(keys: keys, policy: policy)
    }

    /// Whether the login behind a token is no older than `age`, clocks that differ by the leeway forgiven. One that says nothing
    /// of its login is not, nor is one whose login is yet to come.
    func isRecent(_ token: VerifiedToken, within age: Interval, at now: WallTime) -> Bool {
        guard let login = token.dates.loggedInAt else { return false }
        let past = now.milliseconds - login.milliseconds
        return past <= age.milliseconds + policy.leewayMilliseconds && past >= -policy.leewayMilliseconds
    }

    /// Takes over a change. Remembered tokens are looked at again at their next use.
    func apply(_ delta: RevocationDelta) { revocations.apply(delta) }

    /// Whether a token that was verified before is revoked now: for what it has opened and still goes on.
    func isRevoked(_ token: VerifiedToken, at now: WallTime) -> Bool { revocations.revokes(token.marks, at: now) }

    /// Whether the key that signed the token is among those in force: by its bytes, since a new secret may have the name of the
    /// old one.
    func knowsKey(of token: VerifiedToken) -> Bool {
        place(ofKeyOf: token) != nil || policy.introspection?.stamp == token.keyStamp
    }

    /// Among the keys in force.
    func place(ofKeyOf token: VerifiedToken) -> Int? { stamps.firstIndex(of: token.keyStamp) }

    /// Takes note of the time. True, once: a revocation that was announced for later has come into force, whoever met it first.
    func advance(to now: WallTime) -> Bool {
        takeNote(of: now)
        defer { hasBegun = false }
        return hasBegun
    }

    func takeNote(of now: WallTime) {
        if revocations.advance(to: now) { hasBegun = true }
    }

    /// What was found out of the clocks of issuers since the last call.
    func takeLeads() -> [String: Int64] {
        if leads.isEmpty { return leads }
        return exchange(&leads, with: [:])
    }

    /// When it was issued tells the clock of its issuer; `nbf` only if that is not said, since it may be meant for later.
    private func noteLead(of signer: Int, at now: WallTime) {
        var date = claims.date(policy.registered.issuedAt)
        if date == .absent { date = claims.date(policy.registered.notBefore) }
        guard case .at(let time) = date, time > now else { return }
        let source = keys.keys[signer].source
        leads[source] = max(leads[source] ?? 0, time.milliseconds - now.milliseconds)
    }

    /// Whether a token that was accepted has expired, and is good only in its grace.
    func isInGrace(_ token: VerifiedToken, at now: WallTime) -> Bool {
        token.dates.isExpired(at: now, leeway: policy.leewayMilliseconds)
    }

    package var hasProviders: Bool { keys.hasProviders }
    package var lacksKeys: Bool { keys.isIncomplete }

    /// The last call of `verify` met a token that it had verified before.
    var lastWasRemembered = false

    /// Verified tokens that are remembered now.
    package var cachedTokens: Int { cache.count }

    private static func noCheckers(for keys: KeySet) -> [SignatureChecker?] {
        [SignatureChecker?](repeating: nil, count: keys.keys.count * SignatureAlgorithm.allCases.count)
    }

    /// Judges the compact serialisation of a JWS with claims (RFC 7519 §7.2). Without allocation when the same token
    /// was verified before.
    /// - Parameter grace: how long it is good after its end, beyond the leeway.
    package func verify(_ token: Span<UInt8>, at now: WallTime, grace: Interval = .zero) -> TokenOutcome {
        lastWasRemembered = false
        guard token.count <= policy.maximumBytes else { return .refused(TokenRefusal(.tokenTooLarge)) }
        takeNote(of: now)
        if let place = cache.find(token, generation: generation), let known = cache.verified(at: place) {
            let leeway = policy.leewayMilliseconds
            let lenience = leeway + grace.milliseconds
            if !known.dates.isExpired(at: now, leeway: lenience), !known.dates.isTooEarly(at: now, leeway: leeway) {
                if !cache.isSettled(place, in: revocations.round) {
                    if isRevoked(known, at: now) { return .refused(TokenVerifier.refusal(.revoked, of: known)) }
                    cache.settle(place, in: revocations.round)
                }
                lastWasRemembered = true
                used(known.keyIndex, at: now)
                return .verified(known)
            }
            cache.remove(token)
        }
        if policy.introspection != nil, OpaqueToken.isOpaque(token) { return introspected(token, at: now, grace) }
        let outcome = verifyUnknown(token, at: now, grace)
        guard case .verified(let verified) = outcome else { return outcome }
        // Revoked or not: a stolen token is tried again, and its signature need not be checked each time.
        cache.insert(token, verified)
        let judged = withRevocations(outcome, at: now)
        if case .verified = judged {
            let index = verified.keyIndex
            used(index, at: now)
            usage[index].lastExpiry = max(usage[index].lastExpiry ?? verified.expiresAt, verified.expiresAt)
        }
        return judged
    }

    private func used(_ key: Int, at now: WallTime) {
        usage[key].requests += 1
        usage[key].lastUsed = now
    }

    func withRevocations(_ outcome: TokenOutcome, at now: WallTime) -> TokenOutcome {
        guard case .verified(let verified) = outcome, isRevoked(verified, at: now) else { return outcome }
        return .refused(TokenVerifier.refusal(.revoked, of: verified))
    }

    /// Of a token that was good once.
    static func refusal(_ reason: Reason, of token: VerifiedToken) -> TokenRefusal {
        var refusal = TokenRefusal(reason)
        refusal.isSigned = true
        refusal.algorithm = token.algorithm
        refusal.keyID = text(Array(token.keyLabel.utf8), atMost: 128)
        if !token.subject.isEmpty { refusal.subject = text(token.subject, atMost: 256) }
        refusal.issuedAt = token.issuedAt
        refusal.expiresAt = token.expiresAt
        return refusal
    }

    // MARK: Tokens not seen before

    func verifyUnknown(_ token: Span<UInt8>, at now: WallTime, _ grace: Interval) -> TokenOutcome {
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
        case .candidates(let found): candidates = narrowed(found, payload)
        case .refused(let reason):
            refusal.reason = reason
            return .refused(describe(refusal, payload))
        }
        let signed = token.extracting(0..<second)
        let signer = signer(of: signed, token.extracting(second + 1..<token.count), algorithm, candidates)
        guard let signer else {
            // It may be a token of the provider whose keys are not here.
            if !keys.isNamed(candidates, by: header.keyID) {
                if keys.isIncomplete {
                    refusal.reason = .jwksUnavailable
                } else if keys.hasProviders, header.keyID != nil {
                    // Or of one that has a new key.
                    refusal.reason = .unknownKid
                }
            }
            return .refused(describe(refusal, payload))
        }

        refusal.isSigned = true
        guard claims.scan(base64URL: payload, policy.plan) else {
            refusal.reason = .invalidToken
            return .refused(describe(refusal, nil))
        }
        noteLead(of: signer, at: now)
        return accept(
            Voucher(
                algorithm: algorithm, label: keys.keys[signer].label, keyIndex: signer, keyStamp: stamps[signer],
                marks: keyMarks[signer], issuer: keys.keys[signer].issuer, mayBeEndless: false),
            refusal, at: now, grace: grace)
    }

    /// Who says that the claims are true: a key, or the issuer in person.
    struct Voucher {
        let algorithm: SignatureAlgorithm?
        let label: String
        /// Negative: it is no key.
        let keyIndex: Int
        let keyStamp: Int
        let marks: [TokenMark]
        /// Whom alone it may speak for; nil: the configuration's other rules decide.
        let issuer: [UInt8]?
        /// A token without an end is asked about again.
        let mayBeEndless: Bool
    }

    /// Judges the claims that were scanned last.
    /// - Parameter refusal: to be filled when it comes to that.
    func accept(_ voucher: Voucher, _ refusal: TokenRefusal, at now: WallTime, grace: Interval) -> TokenOutcome {
        var refusal = refusal
        let endless = voucher.mayBeEndless ? IntrospectionRules.endless : nil
        switch policy.judge(claims, at: now, grace: grace, endless: endless) {
        case .refused(let reason):
            refusal.reason = reason
            return .refused(describeScanned(refusal))
        case .accepted(let dates):
            if let reason = policy.refusal(of: claims, signedFor: voucher.issuer) {
                refusal.reason = reason
                return .refused(describeScanned(refusal))
            }
            guard let fields = policy.identityFields.write(claims) else {
                refusal.reason = .tokenTooLarge
                return .refused(describeScanned(refusal))
            }
            let subject = policy.subject(of: claims)
            var asserted: [UInt8] = []
            if let assertion = policy.assertionClaims {
                guard let written = assertion.write(claims, subject: subject) else {
                    refusal.reason = .tokenTooLarge
                    return .refused(describeScanned(refusal))
                }
                asserted = written
            }
            return .verified(
                VerifiedToken(
                    identityFields: fields, subject: subject, assertedClaims: asserted, dates: dates,
                    marks: policy.marks(
                        of: claims, key: voucher.marks, subject: subject.span, issuedAt: dates.issuedAt),
                    algorithm: voucher.algorithm, keyLabel: voucher.label, keyIndex: voucher.keyIndex,
                    keyStamp: voucher.keyStamp, satisfied: policy.requirements.judge(claims), generation: generation))
        }
    }

    /// What the payload says is no more than a claim here; it can only leave out keys that would not make it good.
    private func narrowed(_ candidates: [Int], _ payload: Span<UInt8>) -> [Int] {
        guard candidates.count > 1 else { return candidates }
        guard keys.bindsIssuers, claims.scan(base64URL: payload, policy.plan) else {
            return keys.narrowed(candidates, to: nil)
        }
        let issuer = claims.value(policy.registered.issuer)
        return keys.narrowed(candidates, to: issuer.kind == .string ? claims.copy(issuer) : nil)
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
