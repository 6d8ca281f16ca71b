internal import Settings
internal import Wire

/// Tokens that have expired a moment ago, on routes that still take them: so that a page can be read to its end while the
/// client gets a new one. The leeway forgives clocks that differ, and holds for all; this is time after the end, for requests
/// that change nothing.
extension Gatekeeper {
    /// How long after its end a token is good for this request. Not for what would go on when the grace is over.
    func grace(_ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int) -> Interval {
        guard let grace = rules.configuration.routes[route].expiredGrace,
            Methods.isSafe(bytes.extracting(facts.method)), askedProtocol(bytes, facts, route) == nil
        else { return .zero }
        return grace
    }

    /// Tells the upstream, behind who the client is. No client can: the name is one of the protected ones.
    func writeGrace(into out: inout ByteWriter) {
        if head.grace > .zero { out.append("X-Token-Expired: true\r\n") }
    }
}
