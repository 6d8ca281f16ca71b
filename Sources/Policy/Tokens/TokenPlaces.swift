package import Settings
internal import Wire

/// Where a route looks for the token, and what becomes of it on the way to the upstream; compiled once.
package final class TokenPlaces: Sendable {
    /// Names of the cookie, the parameter of the query, and the subprotocol in front of the token; empty: not looked at.
    let cookie: [UInt8]
    let parameter: [UInt8]
    let subprotocol: [UInt8]
    /// The upstream gets neither a Bearer field nor the cookie.
    let strips: Bool
    /// Some requests of the route may carry the token where it must never go on.
    let isExposed: Bool

    package init(_ route: Configuration.Route) {
        let looks = route.authentication != .none
        cookie = Array((route.cookie ?? "").utf8)
        parameter = looks ? Array((route.tokenParameter ?? "").utf8) : []
        subprotocol = looks ? Array((route.tokenSubprotocol ?? "").utf8) : []
        strips = route.stripsToken && looks
        isExposed = !parameter.isEmpty || !subprotocol.isEmpty
    }

    /// Whether an Authorization field goes on as it came.
    func keepsAuthorization(_ value: Range<Int>, of head: Span<UInt8>) -> Bool {
        !strips || !Credentials.mayBeBearer(value, of: head)
    }

    /// Whether a Cookie field goes on as it came.
    /// - Parameter mustGo: the token's cookie does not go on, whatever the route says.
    func keepsCookies(_ value: Range<Int>, of head: Span<UInt8>, _ mustGo: Bool) -> Bool {
        !(strips || mustGo) || cookie.isEmpty || !Cookies.mayHold(cookie, in: head, value)
    }
}
