internal import Crypto
internal import Wire

extension KeySet.Key {
    /// What its tokens can be revoked by, all of them.
    var marks: [TokenMark] {
        let names = source == label ? [label] : [label, source]
        return names.map { TokenMark(.key, Array($0.utf8).span) }
    }
}

extension TokenPolicy {
    /// Every name that a revocation may know the token by.
    /// - Parameters:
    ///   - key: those of the key that signed it.
    ///   - subject: the user as the records name him, so that what an operator reads there is what he can revoke.
    func marks(
        of claims: borrowing ClaimScanner, key: [TokenMark], subject: Span<UInt8>, issuedAt: WallTime?
    ) -> TokenMarks {
        var names = key
        names.reserveCapacity(names.count + 4)
        for (kind, slot) in [(RevocationTarget.Kind.token, registered.id), (.issuer, registered.issuer)] {
            let value = claims.value(slot)
            if value.kind == .string || value.kind == .number { names.append(TokenMark(kind, claims.text(value))) }
        }
        if !subject.isEmpty { names.append(TokenMark(.subject, subject)) }
        let roles = claims.value(rolesClaim)
        switch roles.kind {
        case .string:
            let text = claims.text(roles)
            var start = 0
            while start <= text.count {
                let end = Bytes.index(of: UInt8(ascii: " "), in: text, from: start) ?? text.count
                if end > start { names.append(TokenMark(.role, text.extracting(start..<end))) }
                start = end + 1
            }
        case .list:
            for index in 0..<roles.end - roles.start {
                let element = claims.element(index, of: roles)
                if element.kind == .string { names.append(TokenMark(.role, claims.text(element))) }
            }
        case .absent, .number, .true, .false, .null, .object: break
        }
        return TokenMarks(names: names, issuedAt: issuedAt)
    }
}
