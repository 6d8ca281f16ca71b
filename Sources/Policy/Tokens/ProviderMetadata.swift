package import Settings

/// What an OpenID provider says of itself (OpenID Connect Discovery 1.0 §3): here only where its keys are.
package enum ProviderMetadata {
    /// Where the metadata of an issuer are (§4.1). Nil: a URL cannot be made of it.
    package static func address(of issuer: WebAddress) -> WebAddress? {
        issuer.appending("/.well-known/openid-configuration")
    }

    /// The address of the key set.
    /// - Parameter allowsHTTP: whether it may be without TLS on another machine.
    package static func keys(
        in text: [UInt8], of issuer: WebAddress, allowsHTTP: Bool
    ) -> Result<WebAddress, ProviderProblem> {
        var plan = ClaimPlan()
        let named = plan.member("issuer")
        let place = plan.member("jwks_uri")
        var scanner = ClaimScanner(capacity: text.count)
        guard scanner.scan(json: text.span, plan) else {
            return .failure(ProviderProblem("the metadata are not a strict JSON object"))
        }
        // §4.3: exactly. Who could answer for one issuer must not give keys for another.
        guard scanner.string(named) == Array(issuer.description.utf8) else {
            return .failure(ProviderProblem("the metadata name another issuer"))
        }
        guard let written = scanner.string(place) else {
            return .failure(ProviderProblem("the metadata name no jwks_uri"))
        }
        guard let address = WebAddress(String(decoding: written, as: UTF8.self)) else {
            return .failure(ProviderProblem("the jwks_uri of the metadata is no URL that can be used"))
        }
        // Nor may an issuer that is asked over TLS send us to whatever listens on this machine.
        guard allowsHTTP || address.isSecure || !issuer.isSecure && !address.isExposed else {
            return .failure(ProviderProblem("the jwks_uri of the metadata is not an https URL"))
        }
        return .success(address)
    }
}

/// Why a provider gave no keys, in words for the operator.
package struct ProviderProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// It answered, if not as it should.
    package let isAnswer: Bool
    /// It was asked too much (429).
    package let isRationed: Bool

    package init(_ description: String, isAnswer: Bool = false, isRationed: Bool = false) {
        self.description = description
        self.isAnswer = isAnswer
        self.isRationed = isRationed
    }
}
