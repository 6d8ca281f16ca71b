package import Settings
internal import Wire

/// Which route serves a host, a path and a method, compiled so that ten thousand routes cost as little as ten.
///
/// The most specific place decides: first the host (exact, then the longest wildcard, then any), then the longest path
/// prefix of whole segments. Among the routes of that one place the method chooses. A place that does not allow the
/// method answers 405 and is never passed over for a less specific one, which might ask for less.
///
/// Every (host, prefix) pair is one entry of an open hash table. A match walks the path once, hashing as it goes, and
/// probes at each end of a segment; it allocates nothing.
package struct RouteTable: ~Copyable, Sendable {
    /// The outcome of a look-up.
    package enum Match: Hashable, Sendable {
        /// An index into the configuration's `routes`.
        case route(Int)
        /// The place exists, the method does not: 405, with `allowedMethods(at:)` in Allow.
        case methodNotAllowed(place: Int)
        /// 404.
        case noRoute
    }

    /// One (host, prefix) pair.
    private struct Place {
        let hash: UInt64
        let host: Int
        /// In `text`.
        let prefix: Range<Int>
        /// In `choices`.
        var choices: Range<Int>
    }

    private struct Choice {
        /// In `text`; empty: every method.
        let method: Range<Int>
        let route: Int
    }

    private struct Host {
        let hash: UInt64
        /// In `text`; `.example.org` for a wildcard, empty for any host.
        let name: Range<Int>
        /// No prefix of this host is longer.
        var longestPrefix = 0
    }

    /// Names, prefixes and methods one after another.
    private var text: [UInt8] = []
    private var hosts: [Host] = []
    private var places: [Place] = []
    private var choices: [Choice] = []
    private var allowed: [String] = []
    /// The place of each route.
    private var placeOfRoute: [Int]
    private var hostSlots: [Int32]
    private var placeSlots: [Int32]
    /// Some route is for a host of its own.
    private var namesHosts = false
    private var hasWildcards = false
    /// The host index of the routes for any host.
    private var anyHost: Int?

    /// Paths are brought to their canonical form, with or without a slash at the end. A path that has no canonical form
    /// is never met; the settings refuse it before it gets here. One with `ı` and its like is met with plain letters, too,
    /// unless another route is.
    package init(_ routes: [Configuration.Route]) {
        let paths = routes.map { Array((CanonicalPath.canonical($0.path) ?? $0.path).utf8) }
        let plain = paths.map { PlainLetters.reading(of: $0.span) }
        hostSlots = RouteTable.emptySlots(for: routes.count)
        placeSlots = RouteTable.emptySlots(for: routes.count + plain.count { $0 != nil })
        placeOfRoute = Array(repeating: 0, count: routes.count)
        var routesOfPlace: [[Int]] = []
        for (index, route) in routes.enumerated() {
            let place = addPlace(host: addHost(route.host), path: paths[index])
            if place == routesOfPlace.count { routesOfPlace.append([]) }
            routesOfPlace[place].append(index)
            placeOfRoute[index] = place
        }
        let written = routesOfPlace.count
        for (index, route) in routes.enumerated() {
            guard let path = plain[index] else { continue }
            let place = addPlace(host: addHost(route.host), path: path)
            guard place >= written else { continue }
            if place == routesOfPlace.count { routesOfPlace.append([]) }
            routesOfPlace[place].append(index)
        }
        for (place, indices) in routesOfPlace.enumerated() {
            let start = choices.count
            // The first of equals wins: a method that is named twice belongs to the route that stands first.
            for index in indices {
                for method in routes[index].methods { choices.append(Choice(method: add(method.utf8), route: index)) }
            }
            for index in indices where routes[index].methods.isEmpty {
                choices.append(Choice(method: 0..<0, route: index))
            }
            places[place].choices = start..<choices.count
            // Empty where a route takes every method: 405 is never answered there.
            let takesAll = indices.contains { routes[$0].methods.isEmpty }
            allowed.append(takesAll ? "" : RouteTable.allowList(indices.flatMap { routes[$0].methods }))
        }
    }

    /// - Parameters:
    ///   - host: without its port; any letter case.
    ///   - path: canonical, without the query. Letter case does not matter: many backends serve `/Admin` as `/admin`, and
    ///     it must not find the route of `/` instead. What is forwarded keeps its case.
    ///   - method: for a preflight the value of Access-Control-Request-Method, so that it meets the route of the request
    ///     that will follow.
    package func match(host: Span<UInt8>, path: Span<UInt8>, method: Span<UInt8>) -> Match {
        if namesHosts, host.count > 0, host[0] != UInt8(ascii: "."), let index = findHost(host, from: 0),
            let place = findPlace(host: index, path)
        {
            return choose(at: place, method)
        }
        if hasWildcards {
            for start in host.indices where host[start] == UInt8(ascii: ".") && start > 0 {
                if let index = findHost(host, from: start), let place = findPlace(host: index, path) {
                    return choose(at: place, method)
                }
            }
        }
        if let anyHost, let place = findPlace(host: anyHost, path) { return choose(at: place, method) }
        return .noRoute
    }

    /// The value of Allow for `.methodNotAllowed(place:)`.
    package func allowedMethods(at place: Int) -> String { allowed[place] }

    /// The methods that the place of this route allows; empty: every one.
    package func allowedMethods(ofRoute route: Int) -> String { allowed[placeOfRoute[route]] }

    private func choose(at index: Int, _ method: Span<UInt8>) -> Match {
        let choices = choices.span
        let text = text.span
        let place = places.span[index]
        for choice in place.choices where text.extracting(choices[choice].method).equals(method) {
            return .route(choices[choice].route)
        }
        if method.equals("HEAD") {
            // HEAD is GET without the body (RFC 9110 §9.3.2): whoever allows one has allowed the other.
            for choice in place.choices where text.extracting(choices[choice].method).equals("GET") {
                return .route(choices[choice].route)
            }
        }
        for choice in place.choices where choices[choice].method.isEmpty { return .route(choices[choice].route) }
        return .methodNotAllowed(place: index)
    }

    private static func allowList(_ methods: [String]) -> String {
        var list: [String] = []
        for method in methods where !list.contains(method) { list.append(method) }
        if list.contains("GET"), !list.contains("HEAD") { list.append("HEAD") }
        return list.joined(separator: ", ")
    }
}

// Lookup
extension RouteTable {
    /// The host named by `host` from `start` on. A wildcard's name begins with its dot, as no host does, so the two
    /// kinds share the table.
    private func findHost(_ host: Span<UInt8>, from start: Int) -> Int? {
        guard start < host.count else { return nil }
        var hash = FNV1a.seed
        for index in start..<host.count { hash = FNV1a.hash(hash, Characters.lowercased(host[index])) }
        let hosts = hosts.span
        let text = text.span
        let slots = hostSlots.span
        var slot = Int(truncatingIfNeeded: mixed(hash)) & (slots.count - 1)
        while slots[slot] >= 0 {
            let candidate = hosts[Int(slots[slot])]
            if candidate.hash == hash, candidate.name.count == host.count - start,
                equalFolded(text, candidate.name, host, start)
            {
                return Int(slots[slot])
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The place with the longest prefix of `path` that ends where a segment ends.
    private func findPlace(host: Int, _ path: Span<UInt8>) -> Int? {
        var hash = placeSeed(host)
        var best = probe(hash, host: host, path, length: 0)
        let end = min(path.count, hosts.span[host].longestPrefix)
        var index = 0
        while index < end {
            hash = FNV1a.hash(hash, Characters.lowercased(path[index]))
            index += 1
            if index == path.count || path[index] == UInt8(ascii: "/") {
                best = probe(hash, host: host, path, length: index) ?? best
            }
        }
        return best
    }

    private func probe(_ hash: UInt64, host: Int, _ path: Span<UInt8>, length: Int) -> Int? {
        let places = places.span
        let slots = placeSlots.span
        let text = text.span
        var slot = Int(truncatingIfNeeded: mixed(hash)) & (slots.count - 1)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if places[index].hash == hash, places[index].host == host, places[index].prefix.count == length,
                equalFolded(text, places[index].prefix, path, 0)
            {
                return index
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }
}

// Compilation
extension RouteTable {
    /// At most half full, so that a probe which finds nothing ends soon.
    private static func emptySlots(for count: Int) -> [Int32] {
        var size = 8
        while size < 2 * (count + 1) { size *= 2 }
        return Array(repeating: -1, count: size)
    }

    private mutating func add(_ bytes: some Sequence<UInt8>) -> Range<Int> {
        let start = text.count
        text.append(contentsOf: bytes)
        return start..<text.count
    }

    private mutating func addHost(_ written: String?) -> Int {
        guard let written else {
            if let anyHost { return anyHost }
            // Not in the hash table: it is looked at last, and by nobody's name.
            hosts.append(Host(hash: 0, name: 0..<0))
            anyHost = hosts.count - 1
            return hosts.count - 1
        }
        let isWildcard = written.hasPrefix("*.")
        let name = (isWildcard ? written.dropFirst() : Substring(written)).utf8.map(Characters.lowercased)
        namesHosts = true
        if isWildcard { hasWildcards = true }
        if let known = findHost(name.span, from: 0) { return known }
        var hash = FNV1a.seed
        for byte in name { hash = FNV1a.hash(hash, byte) }
        hosts.append(Host(hash: hash, name: add(name)))
        RouteTable.insert(Int32(hosts.count - 1), hash, into: &hostSlots)
        return hosts.count - 1
    }

    private mutating func addPlace(host: Int, path: [UInt8]) -> Int {
        var prefix = path.map(Characters.lowercased)
        if prefix.last == UInt8(ascii: "/") { prefix.removeLast() }
        var hash = placeSeed(host)
        for byte in prefix { hash = FNV1a.hash(hash, byte) }
        if let known = probe(hash, host: host, prefix.span, length: prefix.count) { return known }
        places.append(Place(hash: hash, host: host, prefix: add(prefix), choices: 0..<0))
        hosts[host].longestPrefix = max(hosts[host].longestPrefix, prefix.count)
        RouteTable.insert(Int32(places.count - 1), hash, into: &placeSlots)
        return places.count - 1
    }

    private static func insert(_ value: Int32, _ hash: UInt64, into slots: inout [Int32]) {
        var slot = Int(truncatingIfNeeded: mixed(hash)) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = value
    }
}

/// Where the hash of a prefix begins, so that one prefix has different places for different hosts.
@inline(__always)
private func placeSeed(_ host: Int) -> UInt64 { FNV1a.seed ^ UInt64(host + 1) &* 0x9e37_79b9_7f4a_7c15 }

/// The high bits of FNV are the better ones; slots are chosen by the low.
@inline(__always)
private func mixed(_ hash: UInt64) -> UInt64 { hash ^ hash >> 32 }

private func equalFolded(_ text: Span<UInt8>, _ name: Range<Int>, _ other: Span<UInt8>, _ start: Int) -> Bool {
    for offset in 0..<name.count
    where text[name.lowerBound + offset] != Characters.lowercased(other[start + offset]) {
        return false
    }
    return true
}
