internal import Crypto
internal import Wire

/// The rules of RFC 7519 §4.1 for the claims of a token whose signature is right.
extension TokenPolicy {
    enum Judgement {
        case accepted(ClaimDates)
        case refused(Reason)
    }

    /// `exp` is required of a JWT: a token that never ends cannot be taken back by waiting.
    /// - Parameters:
    ///   - grace: of expired tokens, beyond the leeway.
    ///   - endless: the end of a token that names none; nil: it is refused.
    func judge(
        _ claims: borrowing ClaimScanner, at now: WallTime, grace: Interval, endless: WallTime? = nil
    ) -> Judgement {
        var dates = ClaimDates(issuedAt: nil, expiresAt: now, validFrom: nil)
        // Only some routes ask for it: where it says nothing, those refuse.
        if case .at(let time) = claims.date(registered.authenticatedAt) { dates.loggedInAt = time }
        switch claims.date(registered.issuedAt) {
        case .absent: break
        case .at(let time): dates.issuedAt = time
        case .malformed: return .refused(.invalidToken)
        }
        dates.validFrom = dates.issuedAt
        switch claims.date(registered.notBefore) {
        case .absent: break
        case .at(let time): dates.validFrom = max(dates.validFrom ?? time, time)
        case .malformed: return .refused(.invalidToken)
        }
        switch claims.date(registered.expiresAt) {
        case .absent:
            guard let endless else { return .refused(.missingClaim) }
            dates.expiresAt = endless
        case .at(let time): dates.expiresAt = time
        case .malformed: return .refused(.invalidToken)
        }
        switch claims.value(registered.subject).kind {
        // A number is against RFC 7519 §4.1.2, but many backends write one, and it means one thing only.
        case .absent, .string, .number: break
        case .true, .false, .null, .list, .object: return .refused(.invalidToken)
        }
        if dates.isExpired(at: now, leeway: leewayMilliseconds + grace.milliseconds) { return .refused(.tokenExpired) }
        if dates.isTooEarly(at: now, leeway: leewayMilliseconds) { return .refused(.notYetValid) }
        if let reason = refusalOfIssuer(claims) ?? refusalOfAudience(claims) { return .refused(reason) }
        return .accepted(dates)
    }

    private func refusalOfIssuer(_ claims: borrowing ClaimScanner) -> Reason? {
        let issuer = claims.value(registered.issuer)
        switch issuer.kind {
        case .string: return issuers.isEmpty || claims.isOne(issuer, of: issuers) ? nil : .wrongIssuer
        case .absent: return issuers.isEmpty ? nil : .missingClaim
        case .number, .true, .false, .null, .list, .object: return .invalidToken
        }
    }

    /// A key that belongs to one issuer vouches for nobody else (RFC 8725 §3.8).
    func refusal(of claims: borrowing ClaimScanner, signedFor owner: [UInt8]?) -> Reason? {
        guard let owner else { return nil }
        let issuer = claims.value(registered.issuer)
        guard issuer.kind == .string else { return .missingClaim }
        return claims.isOne(issuer, of: [owner]) ? nil : .wrongIssuer
    }

    /// One string or a list of strings (RFC 7519 §4.1.3).
    private func refusalOfAudience(_ claims: borrowing ClaimScanner) -> Reason? {
        let audience = claims.value(registered.audience)
        var isOurs = false
        switch audience.kind {
        case .string:
            isOurs = claims.isOne(audience, of: audiences)
        case .list:
            for index in 0..<audience.end - audience.start {
                let element = claims.element(index, of: audience)
                guard element.kind == .string else { return .invalidToken }
                if claims.isOne(element, of: audiences) { isOurs = true }
            }
        case .absent:
            return audiences.isEmpty ? nil : .missingClaim
        case .number, .true, .false, .null, .object:
            return .invalidToken
        }
        return audiences.isEmpty || isOurs ? nil : .wrongAudience
    }

    /// `sub`, or the claim of the first identity header: some issuers name the user otherwise.
    func subject(of claims: borrowing ClaimScanner) -> [UInt8] {
        let own = claims.value(registered.subject)
        if own.kind == .string || own.kind == .number, own.end > own.start { return claims.copy(own) }
        guard let claim = identityFields.firstClaim else { return [] }
        let other = claims.value(claim)
        return other.kind == .string || other.kind == .number ? claims.copy(other) : []
    }
}

/// The dates of a token.
struct ClaimDates {
    var issuedAt: WallTime?
    var expiresAt: WallTime
    /// The later of `nbf` and `iat`: a token from the future is no better than one for it.
    var validFrom: WallTime?
    /// `auth_time` (OpenID Connect Core §2).
    var loggedInAt: WallTime?

    /// `exp <= now` is expired (RFC 7519 §4.1.4). The leeway is in milliseconds.
    func isExpired(at now: WallTime, leeway: Int64) -> Bool {
        expiresAt.milliseconds + leeway <= now.milliseconds
    }

    func isTooEarly(at now: WallTime, leeway: Int64) -> Bool {
        guard let validFrom else { return false }
        return validFrom.milliseconds > now.milliseconds + leeway
    }
}

extension ClaimScanner {
    enum DateClaim: Equatable {
        case absent
        case at(WallTime)
        case malformed
    }

    func date(_ slot: Int) -> DateClaim {
        let value = value(slot)
        switch value.kind {
        case .absent: return .absent
        case .number:
            guard let milliseconds = NumericDate.milliseconds(text(value)) else { return .malformed }
            return .at(WallTime(milliseconds: milliseconds))
        case .string, .true, .false, .null, .list, .object: return .malformed
        }
    }

    func isOne(_ value: Value, of accepted: [[UInt8]]) -> Bool {
        for candidate in accepted where Bytes.equal(candidate.span, text(value)) { return true }
        return false
    }
}
