package import Settings
internal import Wire

/// What the requests of one client have in common, ready to be compared with a head.
package struct AffinityRule: Sendable {
    let source: Configuration.Upstream.HashKey.Source
    /// Of the header in lower case, or of the cookie; empty for other sources.
    let name: [UInt8]

    package init(_ hash: Configuration.Upstream.HashKey) {
        source = hash.source
        let text = Array((hash.name ?? "").utf8)
        name = hash.source == .header ? text.map(Characters.lowercased) : text
    }
}

extension Gatekeeper {
    /// The key that chooses the server of the head that was decided last; that of the client's address where the request
    /// has no such header, cookie or token.
    package func affinity(_ bytes: Span<UInt8>, _ facts: RequestFacts, _ rule: AffinityRule) -> UInt64 {
        switch rule.source {
        case .client: break
        case .subject:
            if let subject = identity?.subject, !subject.isEmpty { return StableHash.of(subject.span) }
        case .header:
            for index in 0..<fields.count
            where bytes.extracting(fields[index].name).equalsIgnoringCase(rule.name.span) {
                return StableHash.of(bytes.extracting(fields[index].value))
            }
        case .cookie:
            for index in 0..<fields.count where classes[index] == .cookie {
                if let value = Cookies.value(of: rule.name, in: bytes, fields[index].value) {
                    return StableHash.of(bytes.extracting(value))
                }
            }
        }
        return StableHash.of(facts.client)
    }
}
