/// Which certificates answer for a name (RFC 6066 §3): those of the exact name, else those of a wildcard for its first
/// label (RFC 9525 §6.3), else those of the default, which is the first certificate.
///
/// Of several for one name the first of each kind of key holds, and OpenSSL shows the client one that it can use.
package struct ServerNames: Sendable {
    /// The certificates that answer together, as places in the list; those of the default first. One that never answers,
    /// because others have all of its names, is alone in a group that no name leads to.
    package private(set) var groups: [[Int]]
    /// Names to places in `groups`.
    private var exact: [String: Int] = [:]
    /// By what follows the star, with its dot.
    private var wildcards: [String: Int] = [:]

    /// - Parameter certificates: at least one. The kind of key is any number that tells kinds apart.
    package init(_ certificates: [(names: [String], kind: Int32)]) {
        var holders: [String: [Int]] = [:]
        for (index, certificate) in certificates.enumerated() {
            for name in certificate.names {
                let kinds = (holders[name] ?? []).map { certificates[$0].kind }
                if !kinds.contains(certificate.kind) { holders[name, default: []].append(index) }
            }
        }
        groups = [certificates[0].names.first.flatMap { holders[$0] } ?? [0]]
        var places = [groups[0]: 0]
        for (name, holders) in holders {
            let place = places[holders] ?? groups.count
            if place == groups.count {
                groups.append(holders)
                places[holders] = place
            }
            if name.hasPrefix("*.") { wildcards[String(name.dropFirst())] = place } else { exact[name] = place }
        }
        let answering = Set(groups.joined())
        groups += certificates.indices.filter { !answering.contains($0) }.map { [$0] }
    }

    /// A place in `groups`.
    package func group(for name: String) -> Int {
        var name = name.lowercased()
        // Not allowed in SNI, and sent all the same.
        if name.hasSuffix(".") { name.removeLast() }
        if let group = exact[name] { return group }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return 0 }
        return wildcards[String(name[dot...])] ?? 0
    }
}
