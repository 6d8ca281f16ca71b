internal import Wire

/// Tokens in places that are read by more than the two who talk: they are taken out before anything is forwarded, and what
/// somebody else might read as one is refused. Nothing of the query is ever logged.
extension Gatekeeper {
    /// Looks for the token in the query and among subprotocols, where the route allows it there. Where it does not count it is
    /// no token, but must not go on either.
    func findExposed(
        _ credentials: inout Credentials, _ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int
    ) {
        // Who sends a body can send a field as well; and what a link does must change nothing.
        let own = facts.method
        let method = bytes.extracting(head.requestedMethod ?? own)
        credentials.takeQuery(head.query, of: bytes, counts: method.equals("GET") || method.equals("HEAD"))
        for index in 0..<fields.count where classes[index] == .webSocketProtocol {
            credentials.takeSubprotocols(
                fields[index].value, of: bytes, counts: asksForWebSocket(bytes, facts, route))
        }
        head.queryCut = credentials.queryCut
        head.subprotocols = credentials.subprotocols
    }

    private func asksForWebSocket(_ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int) -> Bool {
        guard let name = askedProtocol(bytes, facts, route), bytes.extracting(name).equalsIgnoringCase("websocket")
        else { return false }
        return bytes.extracting(facts.method).equals("GET")
    }

    /// The query without the token, with its question mark.
    func writeQuery(_ bytes: Span<UInt8>, into out: inout ByteWriter) {
        guard let cut = head.queryCut else { return out.append(bytes, head.query) }
        out.append(bytes, head.query.lowerBound..<cut.lowerBound)
        out.append(bytes, cut.upperBound..<head.query.upperBound)
    }
}
