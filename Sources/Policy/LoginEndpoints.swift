package import Settings
internal import Wire

/// Which requests are logins: the list `login.endpoints`, compared with the method and the canonical path.
///
/// The comparison ignores the case of letters and one slash at the end, because many backends do (Express by default,
/// Django with APPEND_SLASH): `/Auth/Login/` must not be a way around the counter of `/auth/login`. A backend that tells
/// them apart answers the other spelling with 404, which never counts.
package struct LoginEndpoints: Sendable {
    private struct Endpoint {
        let methodLength: Int
        /// Method and path, the path in lower case and without a slash at its end.
        let bytes: [UInt8]
    }

    private let endpoints: [Endpoint]

    /// Paths are brought to their canonical form. One that has none could never be met, so it is left out; the settings
    /// refuse it before it gets here.
    package init(_ endpoints: [Configuration.Login.Endpoint]) {
        self.endpoints = endpoints.compactMap { endpoint in
            guard let path = CanonicalPath.canonical(endpoint.path) else { return nil }
            let method = Array(endpoint.method.utf8)
            var folded = path.utf8.map(Characters.lowercased)
            if folded.count > 1, folded.last == UInt8(ascii: "/") { folded.removeLast() }
            return Endpoint(methodLength: method.count, bytes: method + folded)
        }
    }

    /// - Parameter path: canonical, without the query.
    package func contains(method: Span<UInt8>, path: Span<UInt8>) -> Bool {
        var pathLength = path.count
        if pathLength > 1, path[pathLength - 1] == UInt8(ascii: "/") { pathLength -= 1 }
        let endpoints = endpoints.span
        for index in endpoints.indices {
            guard endpoints[index].methodLength == method.count,
                endpoints[index].bytes.count == method.count + pathLength
            else { continue }
            if matches(endpoints[index].bytes.span, method, path, pathLength) { return true }
        }
        return false
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
