internal import Settings
package import Wire

/// A request that got through by break-glass.
package struct BreakGlassPass: Sendable {
    /// When it would not have any more.
    package var deadline: Instant
    /// What it would have been refused for.
    package var reason: Reason
}

/// Requests without a good token, on routes that an operator has opened for their network (docs/break-glass.md). What an
/// operator has said no to stays refused, and so does what has two readings.
extension Gatekeeper {
    /// Whether the request may go on although it was to be refused.
    func breaksGlass(
        _ refusal: Refusal, _ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int, _ now: Instant
    ) -> BreakGlassPass? {
        // A proxy that asks cannot take the token out, nor tell its backend.
        guard head.passage == .ours, let reason = refusal.reason, Gatekeeper.isForgivable(refusal),
            let end = breakGlass.end(ofRoute: route, for: facts.client, at: now),
            !comesFromForeignPage(bytes, facts, route), !isCrossSite(bytes)
        else { return nil }
        return BreakGlassPass(deadline: end, reason: reason)
    }

    /// Where the address is all that counts, any page of the web could send requests from a browser within the network.
    private func isCrossSite(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<fields.count
        where bytes.extracting(fields[index].name).equalsIgnoringCase("sec-fetch-site")
            && bytes.extracting(fields[index].value).equals("cross-site")
        { return true }
        return false
    }

    /// Who the caller is could not be found out. Not so with a token that was revoked, or is good and allows too little.
    private static func isForgivable(_ refusal: Refusal) -> Bool {
        switch refusal {
        case .missingToken, .tokenExpired, .keysUnavailable, .introspectionUnavailable: true
        default: refusal.code == .invalidToken && refusal != .malformedCredentials
        }
    }

    /// Tells the upstream that nobody knows who this is. No client can: the name is one of the protected ones.
    func writeBreakGlass(into out: inout ByteWriter) {
        if head.glass != nil { out.append("X-Break-Glass: true\r\n") }
    }
}
