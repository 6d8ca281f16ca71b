internal import Crypto
internal import Wire

/// What a bucket is called where replicas share it. The same on all of them, unlike its key in a process.
package enum SharedBucketName {
    package static let prefix = "rate:"

    /// `rate:per_address@203.0.113.7`, `rate:route_identity:/search@5994471abb01112afcc18159f6cc74b4`, `rate:route:/search@all`.
    /// Neither an owner nor the kind has an `@` or is written in two ways, so two buckets never share a name, whatever a route
    /// is called. Nobody's subject is put into the store.
    package static func of(_ rule: RateRule, _ owner: RateTakings.Owner) -> String {
        let route = rule.route.isEmpty ? "" : ":" + rule.route
        return "\(prefix)\(rule.kind.rawValue)\(route)@\(text(owner))"
    }

    private static func text(_ owner: RateTakings.Owner) -> String {
        switch owner {
        case .everybody: "all"
        case .address(let address): text(address)
        case .subject(let subject): text(subject)
        }
    }

    /// As `IPAddress.countedAs` takes together.
    private static func text(_ address: IPAddress) -> String {
        if let v4 = address.translatedV4 { return IPAddress(v4: v4).description }
        return address.high == 0 ? address.description : IPNetwork(address, bits: 64).description
    }

    /// Half of SHA-256: not to be met by chance, and not worth the other half.
    private static func text(_ subject: [UInt8]) -> String {
        let digest = Bytes.sha256(subject.span)
        func word(_ start: Int) -> UInt64 { digest[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return Hexadecimal.text(word(0)) + Hexadecimal.text(word(8))
    }
}
