internal import Settings
internal import Wire

/// Requests that came without TLS where it is demanded: 308, which keeps the method and the body (RFC 9110 §15.4.9).
extension Gatekeeper {
    /// Whether a request that is not secure must come again over TLS. Not what authorities ask for before there is a certificate
    /// (RFC 8555 §8.3: over plain HTTP, and there is no way around it).
    func mustBeSecure(_ bytes: Span<UInt8>) -> Bool {
        guard rules.configuration.tls?.redirectPort != nil else { return false }
        let exempt: StaticString = "/.well-known/acme-challenge/"
        let path = canonicalPath(bytes)
        guard path.count > exempt.utf8CodeUnitCount, path.extracting(first: exempt.utf8CodeUnitCount).equals(exempt)
        else { return true }
        // A token in base64url; under rules that keep them dots would lead elsewhere.
        for index in exempt.utf8CodeUnitCount..<path.count where !isTokenCharacter(path[index]) { return true }
        return false
    }

    private func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Whether a trusted proxy vouches that the client's own connection is secure.
    func isVouchedSecure(_ bytes: Span<UInt8>, _ peer: IPAddress) -> Bool {
        guard head.hasForwardedProto, rules.trusted.contains(peer), let proto = single(.xForwardedProto, bytes)
        else { return false }
        return bytes.extracting(proto).equalsIgnoringCase("https")
    }

    /// The https address of the request that is being decided.
    func secureLocation(_ facts: borrowing RequestFacts, _ bytes: Span<UInt8>) -> [UInt8] {
        var location = Array("https://".utf8)
        func append(_ piece: Span<UInt8>) { piece.withUnsafeBufferPointer { location.append(contentsOf: $0) } }
        append(bytes.extracting(facts.host))
        if let port = rules.configuration.tls?.redirectPort, port != 443 { location += ":\(port)".utf8 }
        append(canonicalPath(bytes))
        append(bytes.extracting(head.query))
        return location
    }
}
