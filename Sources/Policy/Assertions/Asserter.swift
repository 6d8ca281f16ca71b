internal import Crypto
internal import Wire

/// Signs the assertions of one worker and remembers them: a signature costs more than all the rest of a request, so one
/// serves a token, for one audience, until half of its lifetime is over. Not `Sendable`: it owns OpenSSL contexts.
final class Asserter {
    private let rules: AssertionRules
    private var keyring: AssertionKeyring
    /// By the keyring's entries.
    private var pens: [Pen]
    private var places: [Place]
    private let mask: Int
    /// Signatures that nobody has counted yet.
    private(set) var uncounted = 0

    /// What a key signs with, made when it is first needed.
    private struct Pen {
        /// The protected header in base64url, and its dot.
        var start: [UInt8] = []
        var signer: Signer?
    }

    /// Two for each token: the one that was signed earlier gives way.
    private struct Place {
        /// Kept, so that no other token can have its address.
        var token: VerifiedToken?
        var audience = 0
        /// The whole field, with CR LF.
        var field: [UInt8] = []
        /// Seconds. A clock that was set back makes an assertion one from the future.
        var issuedAt: Int64 = 0
        /// Milliseconds; from then on a new one is signed.
        var renewAt: Int64 = 0
    }

    init(_ rules: AssertionRules, _ keyring: AssertionKeyring) {
        self.rules = rules
        self.keyring = keyring
        pens = [Pen](repeating: Pen(), count: keyring.entries.count)
        var sets = 1
        while sets * 2 < rules.capacity { sets *= 2 }
        mask = sets - 1
        places = [Place](repeating: Place(), count: rules.capacity > 0 ? sets * 2 : 0)
    }

    /// Takes other keys. What was signed before is signed anew: its key may be in the wrong hands.
    func adopt(_ keyring: AssertionKeyring) {
        self.keyring = keyring
        pens = [Pen](repeating: Pen(), count: keyring.entries.count)
        for index in places.indices { places[index] = Place() }
    }

    func takeCount() -> Int {
        defer { uncounted = 0 }
        return uncounted
    }

    /// Writes the field for a request of this token's to the upstream. Allocates only when it signs. Without a signature, which
    /// only a lack of memory can bring about, there is no field: whoever asks for one refuses.
    func write(_ token: VerifiedToken, upstream: Int, at now: WallTime, into out: inout ByteWriter) {
        let audience = rules.audienceOfUpstream[upstream]
        guard !places.isEmpty else {
            if let made = sign(token, audience, at: now) { out.append(made.field) }
            return
        }
        let first = place(of: token, audience)
        for index in first...first + 1
        where places[index].token === token && places[index].audience == audience
            && now.milliseconds < places[index].renewAt && places[index].issuedAt <= now.seconds
        {
            return out.append(places[index].field)
        }
        guard let made = sign(token, audience, at: now) else { return }
        let isHere = places[first].token === token && places[first].audience == audience
        let index = isHere || places[first].issuedAt <= places[first + 1].issuedAt ? first : first + 1
        places[index] = made
        out.append(made.field)
    }

    /// Of the first of its two places.
    private func place(of token: VerifiedToken, _ audience: Int) -> Int {
        // Objects stand 16 bytes apart, so the low bits of their addresses say nothing.
        let address = UInt(bitPattern: ObjectIdentifier(token)) >> 4
        let mixed = (UInt64(address) &+ UInt64(audience)).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return (Int(truncatingIfNeeded: mixed.high ^ mixed.low >> 32) & mask) * 2
    }

    private func sign(_ token: VerifiedToken, _ audience: Int, at now: WallTime) -> Place? {
        let index = keyring.index(at: now)
        guard let signer = signer(index) else { return nil }
        let issuedAt = now.seconds
        let wanted = issuedAt + rules.lifetimeSeconds
        let ends = min(wanted, token.expiresAt.seconds)
        var claims = rules.starts[audience]
        claims.reserveCapacity(claims.count + token.assertedClaims.count + 96)
        claims += Array(#"\#(issuedAt),"exp":\#(ends),"jti":""#.utf8)
        Base64URL.append(Bytes.random(16).span, to: &claims)
        claims.append(UInt8(ascii: "\""))
        claims += token.assertedClaims
        claims.append(UInt8(ascii: "}"))
        var field = rules.fieldStart
        field.reserveCapacity(field.count + pens[index].start.count + claims.count * 4 / 3 + 96)
        field += pens[index].start
        Base64URL.append(claims.span, to: &field)
        guard let signature = signer.sign(field.span.extracting(rules.fieldStart.count..<field.count)) else {
            return nil
        }
        field.append(UInt8(ascii: "."))
        Base64URL.append(signature.span, to: &field)
        field += [13, 10]
        uncounted += 1
        // One that ends with its token would end no later if it were signed anew.
        let renewAt = ends < wanted ? Int64.max : now.milliseconds + rules.lifetimeSeconds * 500
        return Place(token: token, audience: audience, field: field, issuedAt: issuedAt, renewAt: renewAt)
    }

    private func signer(_ index: Int) -> Signer? {
        if let signer = pens[index].signer { return signer }
        let key = keyring.entries[index].key
        guard let signer = try? Signer(key) else { return nil }
        // Of a type of its own (RFC 8725 §3.11): nobody who asks for an access token takes it for one.
        let header = #"{"alg":"\#(key.algorithm.name)","kid":"\#(key.id)","typ":"assertion+jwt"}"#
        var start: [UInt8] = []
        Base64URL.append(Array(header.utf8).span, to: &start)
        start.append(UInt8(ascii: "."))
        pens[index] = Pen(start: start, signer: signer)
        return signer
    }
}
