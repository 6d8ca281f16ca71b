internal import Crypto

/// What an assertion tells of the token behind it: members of JSON, written once per token when it has been verified.
///
/// Always the same members in the same order and form, however the token's issuer writes them, so that a backend needs one
/// reader only. What is absent, or of a form that the gateway's own rules would not read, is left out.
struct AssertionClaims: Sendable {
    /// Of all members of one token; what is longer would not fit into a backend's head limit either.
    static let maximumBytes = 4096

    private let issuer, roles, scopes, levels, methods, authenticatedAt, authorizedParty, client: ClaimPlan.Claim

    init(rolesClaim: String, scopesClaim: String, _ plan: inout ClaimPlan) {
        issuer = plan.claim("iss")
        roles = plan.claim(rolesClaim)
        scopes = plan.claim(scopesClaim)
        levels = plan.claim("acr")
        methods = plan.claim("amr")
        authenticatedAt = plan.claim("auth_time")
        authorizedParty = plan.claim("azp")
        client = plan.claim("client_id")
    }

    /// `,"sub":"…","roles":[…]`, each member with a comma in front; nil when they are too long.
    /// - Parameter subject: who the token is about (`TokenPolicy.subject`).
    func write(_ claims: borrowing ClaimScanner, subject: [UInt8]) -> [UInt8]? {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        if !subject.isEmpty {
            output += Array(#","sub":"#.utf8)
            JSONText.append(subject.span, to: &output)
            // A subject is a name of its issuer's (RFC 7519 §4.1.2), and ours is not the one that gave it: RFC 9493 §3.2.3.
            let issuer = claims.value(issuer)
            if issuer.kind == .string {
                output += Array(#","sub_id":{"format":"iss_sub","iss":"#.utf8)
                JSONText.append(claims.text(issuer), to: &output)
                output += Array(#","sub":"#.utf8)
                JSONText.append(subject.span, to: &output)
                output.append(UInt8(ascii: "}"))
            }
        }
        Self.appendList(#","roles":"#, claims.value(roles), splits: true, claims, to: &output)
        appendScope(claims, to: &output)
        Self.appendString(#","acr":"#, claims.value(levels), claims, to: &output)
        Self.appendList(#","amr":"#, claims.value(methods), splits: false, claims, to: &output)
        let time = claims.value(authenticatedAt)
        if time.kind == .number {
            output += Array(#","auth_time":"#.utf8)
            claims.text(time).withUnsafeBufferPointer { output += $0 }
        }
        Self.appendString(#","azp":"#, claims.value(authorizedParty), claims, to: &output)
        Self.appendString(#","client_id":"#, claims.value(client), claims, to: &output)
        return output.count <= AssertionClaims.maximumBytes ? output : nil
    }

    private static func appendString(
        _ name: String, _ value: ClaimScanner.Value, _ claims: borrowing ClaimScanner, to output: inout [UInt8]
    ) {
        guard value.kind == .string else { return }
        output += Array(name.utf8)
        JSONText.append(claims.text(value), to: &output)
    }

    /// Calls `take` with the places of the strings in a list, or of the words of a text with spaces between.
    private static func forEachWord(
        _ value: ClaimScanner.Value, splits: Bool, _ claims: borrowing ClaimScanner,
        _ take: (borrowing ClaimScanner, ClaimScanner.Value) -> Void
    ) {
        if value.kind == .list {
            for index in 0..<value.end - value.start {
                let element = claims.element(index, of: value)
                if element.kind == .string, element.end > element.start { take(claims, element) }
            }
        } else if value.kind == .string, splits {
            var start = value.start
            while start < value.end {
                let whole = ClaimScanner.Value(kind: .string, start: start, end: value.end)
                let length = Bytes.index(of: UInt8(ascii: " "), in: claims.text(whole)) ?? value.end - start
                if length > 0 { take(claims, ClaimScanner.Value(kind: .string, start: start, end: start + length)) }
                start += length + 1
            }
        }
    }

    private static func appendList(
        _ name: String, _ value: ClaimScanner.Value, splits: Bool, _ claims: borrowing ClaimScanner,
        to output: inout [UInt8]
    ) {
        var list: [UInt8] = []
        forEachWord(value, splits: splits, claims) { claims, word in
            list.append(UInt8(ascii: list.isEmpty ? "[" : ","))
            JSONText.append(claims.text(word), to: &list)
        }
        guard !list.isEmpty else { return }
        output += Array(name.utf8) + list
        output.append(UInt8(ascii: "]"))
    }

    /// One text with spaces between (RFC 8693 §4.2).
    private func appendScope(_ claims: borrowing ClaimScanner, to output: inout [UInt8]) {
        var words: [UInt8] = []
        Self.forEachWord(claims.value(scopes), splits: true, claims) { claims, word in
            let text = claims.text(word)
            // One that holds a space would be read as two, and a client would have scopes that nobody gave it.
            guard Bytes.index(of: UInt8(ascii: " "), in: text) == nil else { return }
            if !words.isEmpty { words.append(UInt8(ascii: " ")) }
            text.withUnsafeBufferPointer { words += $0 }
        }
        guard !words.isEmpty else { return }
        output += Array(#","scope":"#.utf8)
        JSONText.append(words.span, to: &output)
    }
}

/// Strings of JSON (RFC 8259 §7).
enum JSONText {
    /// Quoted. What must be escaped is; the rest of the UTF-8 stays as it is.
    static func append(_ text: Span<UInt8>, to output: inout [UInt8]) {
        let hex: StaticString = "0123456789abcdef"
        output.append(UInt8(ascii: "\""))
        for index in text.indices {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0..<0x20:
                output += Array(#"\u00"#.utf8)
                output.append(hex.utf8Start[Int(byte >> 4)])
                output.append(hex.utf8Start[Int(byte & 15)])
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    static func append(_ text: String, to output: inout [UInt8]) { append(Array(text.utf8).span, to: &output) }
}
