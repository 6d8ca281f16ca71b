package import Settings
package import Wire

/// What a field means to the gateway. The name decides, never its value.
package enum FieldClass: UInt8, CaseIterable, Sendable {
    /// Nothing: it goes through as it came.
    case endToEnd
    case host
    case contentLength
    case contentType
    case contentEncoding
    case transferEncoding
    case connection
    /// For one connection only (RFC 9110 §7.6.1), whether Connection names it or not.
    case hopByHop
    case upgrade
    /// Ours to set: who the client is, in any spelling.
    case identity
    /// Ours to set: where the request came from or went, in any spelling, and what would make another request of it.
    case forwarding
    case xForwardedFor
    case xForwardedHost
    case xForwardedProto
    /// A name that steers us or the backend, written with another sign for `-`. CGI, WSGI and their kin read `-` and `_` as
    /// one variable, lighttpd's CGI every sign there is, so `Content_Length` and `Content.Length` would get past every
    /// check of `Content-Length`.
    case disguised
    case authorization
    case cookie
    case expect
    case maxForwards
    case via
    case traceparent
    case tracestate
    case requestID
    case userAgent
    case origin
    case accessControlRequestMethod
    /// It may hold the token of a WebSocket.
    case webSocketProtocol

    /// Whether a client's field of this class never reaches the backend as sent, on no route. What the backend needs of
    /// them (the body's framing, forwarding, identity) is written anew.
    package var isStripped: Bool {
        switch self {
        case .transferEncoding, .connection, .hopByHop, .upgrade, .identity, .forwarding, .xForwardedFor,
            .xForwardedHost, .xForwardedProto, .disguised:
            true
        default: false
        }
    }

    /// Whether naming the field in Connection takes it out (RFC 9110 §7.6.1). Not those that frame, address or authenticate
    /// the request or that we add: `Connection: Authorization` or `Connection: X-User-Id` would turn one request into
    /// another on its way (CVE-2024-45410). Nor Content-Type and Content-Encoding: by them the account of a login was read.
    package var isRemovedByConnection: Bool {
        switch self {
        case .endToEnd, .userAgent, .maxForwards, .tracestate, .origin, .accessControlRequestMethod,
            .webSocketProtocol:
            true
        default: false
        }
    }

    /// These two make a preflight, which passes without a token.
    var makesPreflight: Bool { self == .origin || self == .accessControlRequestMethod }

    /// Whether an operator may use the name for an identity header. Where not, the built-in meaning stands.
    fileprivate var yieldsToIdentity: Bool {
        switch self {
        case .endToEnd, .userAgent, .forwarding: true
        default: false
        }
    }
}

/// Classifies fields by their names: the built-in ones by length and bytes, the identity headers from the configuration.
/// Letter case never matters, and every sign is `-`. An object, so that its arrays are not counted for each field.
package final class FieldClassifier: Sendable {
    /// The identity headers' names, folded, one after another.
    private let identityText: [UInt8]
    private let identityNames: [Range<Int>]
    /// Bit n: some identity header has n bytes (63: 63 or more). Most names are let go by this alone.
    private let identityLengths: UInt64

    /// - Parameter others: names that are ours as well.
    package init(identityHeaders: [Configuration.IdentityHeader], others: [String] = []) {
        var identityText: [UInt8] = []
        var identityNames: [Range<Int>] = []
        var identityLengths: UInt64 = 0
        for header in identityHeaders.map(\.name) + others {
            let name = header.utf8.map { folded($0) | 0x20 }
            identityNames.append(identityText.count..<identityText.count + name.count)
            identityText += name
            identityLengths |= 1 << UInt64(min(name.count, 63))
        }
        self.identityText = identityText
        self.identityNames = identityNames
        self.identityLengths = identityLengths
    }

    /// What a field of the head means. Allocates nothing.
    package func classify(_ field: Field, in head: Span<UInt8>) -> FieldClass {
        let name = head.extracting(field.name)
        guard field.hasUnusualName else { return meaning(name) }
        let meant = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: name.count) { copy in
            for index in name.indices { copy.initializeElement(at: index, to: folded(name[index])) }
            return meaning(copy.span)
        }
        switch meant {
        case .endToEnd, .identity, .forwarding: return meant
        default: return .disguised
        }
    }

    /// What a name of letters, digits and `-` means.
    private func meaning(_ name: Span<UInt8>) -> FieldClass {
        let known = knownClass(name)
        if identityLengths >> UInt64(min(name.count, 63)) & 1 != 0, known.yieldsToIdentity, isIdentity(name) {
            return .identity
        }
        return known
    }

    private func isIdentity(_ name: Span<UInt8>) -> Bool {
        let (names, text) = (identityNames, identityText)
        candidates: for index in names.indices where names[index].count == name.count {
            let start = names[index].lowerBound
            for offset in name.indices where text[start + offset] != name[offset] | 0x20 { continue candidates }
            return true
        }
        return false
    }
}

/// `-` for a byte that is neither letter nor digit, as CGI reads names.
private func folded(_ byte: UInt8) -> UInt8 {
    (byte | 0x20) &- UInt8(ascii: "a") < 26 || Characters.isDigit(byte) ? byte : UInt8(ascii: "-")
}

/// Whether `name`, of letters, digits and `-`, is `text` or, with `prefix`, begins with it. `text` must be in lower case:
/// the bit that makes letters small is set in digits and in `-` anyway.
@inline(__always)
private func means(_ name: Span<UInt8>, _ text: StaticString, prefix: Bool = false) -> Bool {
    let count = text.utf8CodeUnitCount
    guard prefix ? name.count >= count : name.count == count else { return false }
    for index in 0..<count where name[index] | 0x20 != text.utf8Start[index] { return false }
    return true
}

/// The built-in meaning of a name. The length picks a handful, their first bytes differ, so that an ordinary name is
/// through after a byte or two.
private func knownClass(_ name: Span<UInt8>) -> FieldClass {
    switch name.count {
    case 2: if means(name, "te") { return .hopByHop }
    case 3: if means(name, "via") { return .via }
    case 4: if means(name, "host") { return .host }
    case 5:
        // CGI would call it HTTP_PROXY, which HTTP libraries obey (CVE-2016-5385).
        if means(name, "proxy") { return .forwarding }
    case 6:
        if means(name, "cookie") { return .cookie }
        if means(name, "expect") { return .expect }
        if means(name, "origin") { return .origin }
    case 7:
        if means(name, "upgrade") { return .upgrade }
        if means(name, "trailer") { return .hopByHop }
    case 9:
        if means(name, "forwarded") || means(name, "x-real-ip") { return .forwarding }
    case 10:
        if means(name, "user-agent") { return .userAgent }
        if means(name, "connection") { return .connection }
        if means(name, "keep-alive") { return .hopByHop }
        if means(name, "tracestate") { return .tracestate }
    case 11:
        if means(name, "traceparent") { return .traceparent }
        if means(name, "x-client-ip") { return .forwarding }
    case 12:
        if means(name, "content-type") { return .contentType }
        if means(name, "max-forwards") { return .maxForwards }
        if means(name, "x-request-id") { return .requestID }
    case 13:
        if means(name, "authorization") { return .authorization }
        // Some frameworks take the path from here and not from the request line (CVE-2018-14773).
        if means(name, "x-rewrite-url") { return .forwarding }
        if means(name, "x-break-glass") { return .identity }
        // Frameworks take the method from these three, some whatever the method is: a PUT would be a POST to the login that
        // nobody counts, a GET a DELETE that no route allows.
        if means(name, "x-http-method") { return .forwarding }
    case 14:
        if means(name, "content-length") { return .contentLength }
        if means(name, "http2-settings") { return .hopByHop }
        if means(name, "x-original-url") || means(name, "true-client-ip") { return .forwarding }
    case 15:
        if means(name, "x-forwarded-for") { return .xForwardedFor }
        if means(name, "x-token-expired") { return .identity }
    case 16:
        if means(name, "content-encoding") { return .contentEncoding }
        if means(name, "x-forwarded-host") { return .xForwardedHost }
        if means(name, "proxy-connection") { return .hopByHop }
        if means(name, "cf-connecting-ip") { return .forwarding }
    case 17:
        if means(name, "transfer-encoding") { return .transferEncoding }
        if means(name, "x-forwarded-proto") { return .xForwardedProto }
        if means(name, "x-method-override") { return .forwarding }
    case 18: if means(name, "proxy-authenticate") { return .hopByHop }
    case 19:
        if means(name, "proxy-authorization") { return .hopByHop }
        if means(name, "x-cluster-client-ip") { return .forwarding }
    case 22:
        if means(name, "sec-websocket-protocol") { return .webSocketProtocol }
        if means(name, "x-http-method-override") { return .forwarding }
    case 25: if means(name, "proxy-authentication-info") { return .hopByHop }
    case 29: if means(name, "access-control-request-method") { return .accessControlRequestMethod }
    default: break
    }
    // A certificate that was verified is told by us alone (RFC 9440 §4: a client's own must go).
    return means(name, "x-forwarded", prefix: true) || means(name, "client-cert", prefix: true)
        || means(name, "x-client-cert", prefix: true) || means(name, "x-ssl-client", prefix: true)
        ? .forwarding : .endToEnd
}
