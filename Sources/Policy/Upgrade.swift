internal import Crypto
internal import Settings
internal import Wire

/// Another protocol that a client asks for and its route allows (RFC 9110 §7.8): passed on, and what a 101 must answer to.
package final class Upgrade: Sendable {
    /// As the client wrote it.
    package let name: [UInt8]
    /// What Sec-WebSocket-Accept must say; empty for other protocols than WebSocket.
    let accept: [UInt8]
    /// Where the token came as a subprotocol: what was offered besides.
    let offer: SubprotocolOffer?

    package var isWebSocket: Bool { !accept.isEmpty }

    /// - Parameter key: of Sec-WebSocket-Key; empty for other protocols.
    init(_ name: Span<UInt8>, key: Span<UInt8> = Span(), offer: SubprotocolOffer? = nil) {
        self.offer = offer
        self.name = name.withUnsafeBufferPointer { Array($0) }
        accept = key.isEmpty ? [] : Upgrade.accept(for: key)
    }

    /// RFC 6455 §4.2.2, 5.4: proof that the server has read the key as a WebSocket's.
    static func accept(for key: Span<UInt8>) -> [UInt8] {
        let proof = key.withUnsafeBufferPointer { Array($0) } + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)
        return Base64.encode(Bytes.sha1(proof.span))
    }
}

extension Gatekeeper {
    /// Whether the request changes to another protocol; nil: it does not, and its Upgrade goes no further. It is an
    /// HTTP/1.1 request without a body whose Connection says `upgrade` and whose one Upgrade names one protocol that the
    /// route allows. Anything else in Upgrade may be ignored (RFC 9110 §7.8), and is.
    ///
    /// Comes behind all other stages, so a WebSocket is refused like any request, and never after its 101.
    func upgrade(_ bytes: Span<UInt8>, _ facts: RequestFacts, _ route: Int) throws(Refusal) -> Upgrade? {
        guard let place = askedProtocol(bytes, facts, route) else { return nil }
        let name = bytes.extracting(place)
        let isWebSocket = name.equalsIgnoringCase("websocket")
        let key = isWebSocket ? try websocketKey(bytes, facts) : 0..<0
        // The body would have to be read before the first byte of the other protocol.
        guard facts.framing == .none else { return nil }
        try checkOrigin(bytes, facts, route)
        var offer: SubprotocolOffer?
        if let (token, list) = head.subprotocols {
            offer = SubprotocolOffer(rules.tokenPlaces[route].subprotocol, token: token, in: bytes, list)
        }
        return Upgrade(name, key: bytes.extracting(key), offer: offer)
    }

    /// Where the protocol stands that the request may change to.
    func askedProtocol(_ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int) -> Range<Int>? {
        guard case .at(let index) = head.upgrade, head.connection.upgrades, facts.minorVersion >= 1, !head.isPreflight,
            allowsUpgrade(to: bytes.extracting(fields[index].value), route)
        else { return nil }
        return fields[index].value
    }

    private func allowsUpgrade(to name: Span<UInt8>, _ route: Int) -> Bool {
        for allowed in rules.configuration.routes[route].upgrades
        where name.equalsIgnoringCase(Array(allowed.utf8).span) { return true }
        return false
    }

    /// RFC 6455 §4.2.1: what a server must not take for a handshake is not passed on as one. Where the key stands.
    private func websocketKey(_ bytes: Span<UInt8>, _ facts: RequestFacts) throws(Refusal) -> Range<Int> {
        guard bytes.extracting(facts.method).equals("GET"), facts.framing == .none,
            let version = single("sec-websocket-version", bytes)
        else { throw .malformedHandshake }
        guard bytes.extracting(version).equals("13") else { throw .websocketVersion }
        guard let key = single("sec-websocket-key", bytes), Base64.isSixteenBytes(bytes.extracting(key)) else {
            throw .malformedHandshake
        }
        return key
    }

    /// The value of a field that occurs once.
    private func single(_ name: StaticString, _ bytes: Span<UInt8>) -> Range<Int>? {
        var found: Range<Int>?
        for index in 0..<fields.count where bytes.extracting(fields[index].name).equalsIgnoringCase(name) {
            guard found == nil else { return nil }
            found = fields[index].value
        }
        return found
    }

    /// A browser sends cookies with a WebSocket that any page opens, and asks nobody before (RFC 6455 §10.2): with a token
    /// from a cookie, the page must be of this host or one of the route's `cors.origins`. `*` is none of these: it means
    /// that answers may be read by pages without credentials.
    private func checkOrigin(_ bytes: Span<UInt8>, _ facts: RequestFacts, _ route: Int) throws(Refusal) {
        if head.tokenIsFromCookie, comesFromForeignPage(bytes, facts, route) { throw .foreignOrigin }
    }

    /// Whether a browser says that a page made the request which is neither of this host nor one of `cors.origins`.
    func comesFromForeignPage(_ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int) -> Bool {
        guard !facts.origin.isEmpty else { return false }
        guard let range = single("origin", bytes) else { return true }
        let origin = bytes.extracting(range)
        return !isOwn(origin, bytes.extracting(facts.authority))
            && rules.configuration.routes[route].cors?.names(origin) != true
    }

    /// Whether `origin` is a page of the host that was asked. The port of the scheme may be written or not.
    private func isOwn(_ origin: Span<UInt8>, _ authority: Span<UInt8>) -> Bool {
        isOwn(origin, authority, scheme: "https://", port: ":443")
            || isOwn(origin, authority, scheme: "http://", port: ":80")
    }

    private func isOwn(
        _ origin: Span<UInt8>, _ authority: Span<UInt8>, scheme: StaticString, port: StaticString
    ) -> Bool {
        let start = scheme.utf8CodeUnitCount
        guard origin.count > start, origin.extracting(0..<start).equals(scheme) else { return false }
        let host = withoutPort(origin.extracting(start..<origin.count), port)
        return host.equalsIgnoringCase(withoutPort(authority, port))
    }

    @_lifetime(copy authority)
    private func withoutPort(_ authority: Span<UInt8>, _ port: StaticString) -> Span<UInt8> {
        let rest = authority.count - port.utf8CodeUnitCount
        guard rest > 0, authority.extracting(rest..<authority.count).equals(port) else { return authority }
        return authority.extracting(0..<rest)
    }
}
