package import Settings
internal import Wire

/// Which requests are logins, and by which rules: the lists `login.endpoints` and `login.rules[].endpoints`, compared with the method and the canonical path.
///
/// The comparison ignores the case of letters and one slash at the end, because many backends do (Express by default,
/// Django with APPEND_SLASH): `/Auth/Login/` must not be a way around the counter of `/auth/login`. A backend that tells
/// them apart answers the other spelling with 404, which never counts.
package struct LoginEndpoints: Sendable {
    private struct Endpoint {
        let methodLength: Int
        /// Method and path, the path in lower case and without a slash at its end.
        let bytes: [UInt8]
        let row: LoginRows
    }

    private let endpoints: [Endpoint]

    package init(_ login: Configuration.Login) {
        let others = login.rules.enumerated().flatMap { index, rule in
            rule.endpoints.flatMap { LoginEndpoints.endpoints($0, .row(index)) }
        }
        endpoints = login.endpoints.flatMap { LoginEndpoints.endpoints($0, .plain) } + others
    }

    /// The path is brought to its canonical form. One that has none could never be met, so it is left out; the settings
    /// refuse it before it gets here. One with `ı` and its like is met with plain letters, too.
    private static func endpoints(_ endpoint: Configuration.Login.Endpoint, _ row: LoginRows) -> [Endpoint] {
        guard let path = CanonicalPath.canonical(endpoint.path).map({ Array($0.utf8) }) else { return [] }
        let method = Array(endpoint.method.utf8)
        return [path, PlainLetters.reading(of: path.span)].compactMap { $0 }.map { path in
            var folded = path.map(Characters.lowercased)
            if folded.count > 1, folded.last == UInt8(ascii: "/") { folded.removeLast() }
            return Endpoint(methodLength: method.count, bytes: method + folded, row: row)
        }
    }

    /// By which rules the request is a login; none: it is not.
    /// - Parameter path: canonical, without the query.
    package func rows(method: Span<UInt8>, path: Span<UInt8>) -> LoginRows {
        var pathLength = path.count
        if pathLength > 1, path[pathLength - 1] == UInt8(ascii: "/") { pathLength -= 1 }
        var rows = LoginRows()
        let endpoints = endpoints.span
        for index in endpoints.indices {
            guard endpoints[index].methodLength == method.count,
                endpoints[index].bytes.count == method.count + pathLength
            else { continue }
            if matches(endpoints[index].bytes.span, method, path, pathLength) { rows.formUnion(endpoints[index].row) }
        }
        return rows
    }

    private func matches(
        _ endpoint: Span<UInt8>, _ method: Span<UInt8>, _ path: Span<UInt8>, _ pathLength: Int
    ) -> Bool {
        // From the end: paths of one API differ there.
        for index in (0..<pathLength).reversed()
        where endpoint[method.count + index] != Characters.lowercased(path[index]) {
            return false
        }
        for index in method.indices where endpoint[index] != method[index] { return false }
        return true
    }
}
