package import Wire

/// Keys that are fetched from whoever issues the tokens.
extension Configuration.Tokens {
    package struct Provider: Equatable, Sendable {
        package enum Location: Hashable, Sendable {
            /// Of a JSON Web Key Set (RFC 7517).
            case jwks(WebAddress)
            /// Of an OpenID provider, which names its key set in its metadata (OpenID Connect Discovery 1.0 §4).
            case discovery(issuer: WebAddress)
        }
        package var location: Location
        /// Authorities in PEM that the provider's certificate must be from; nil: those of this machine.
        package var authoritiesPath: String?
        /// The path of the settings, for findings about their files: `tokens.keys[0]`.
        package var section: String
        /// Plain HTTP is accepted, also from what the metadata names.
        package var allowsHTTP = false
        /// To the next fetch, unless the provider's Cache-Control asks for less or allows more.
        package var refresh = Interval.seconds(600)
        /// For the whole of one answer.
        package var timeout = Interval.seconds(5)
        /// How long keys are used that could not be fetched again.
        package var maximumAge = Interval.seconds(86_400)

        /// Where it stands in the file makes no difference.
        package static func == (one: Provider, other: Provider) -> Bool {
            one.location == other.location && one.authoritiesPath == other.authoritiesPath
                && one.allowsHTTP == other.allowsHTTP && one.refresh == other.refresh && one.timeout == other.timeout
                && one.maximumAge == other.maximumAge
        }

        package init(_ location: Location, section: String) {
            self.location = location
            self.section = section
        }
    }
}

/// An http or https URL, taken apart (RFC 3986 §3); without user information and fragment.
package struct WebAddress: Hashable, Sendable, CustomStringConvertible {
    package let isSecure: Bool
    /// In lower case; an IPv6 address without its brackets.
    package let host: String
    package let port: UInt16
    /// Path and query, as they stand in a request.
    package let target: String
    /// As it was written: an issuer is compared byte for byte.
    package let description: String

    /// Nil when it is none.
    package init?(_ text: String) {
        guard let address = try? parseWebAddress(text) else { return nil }
        self = address
    }

    init(isSecure: Bool, host: String, port: UInt16, target: String, written: String) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.target = target
        description = written
    }

    /// For logs and reports: without its query, which may hold a secret.
    package var shown: String { String(description.prefix { $0 != "?" }) }

    /// Of one whose path may be the secret, as those of webhooks are: whose it is, and no more.
    package var origin: String { "\(isSecure ? "https" : "http")://\(authority)" }

    /// `Host` of a request for it (RFC 9110 §7.2).
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The same place, `path` behind its own.
    package func appending(_ path: String) -> WebAddress? {
        WebAddress((description.hasSuffix("/") ? String(description.dropLast()) : description) + path)
    }

    /// Plain HTTP to another machine: whoever sits in between could answer.
    package var isExposed: Bool {
        guard !isSecure, host != "localhost" else { return false }
        guard let address = IPAddress(host) else { return true }
        return !IPNetwork("127.0.0.0/8")!.contains(address) && address != IPAddress("::1")!
    }
}

func parseWebAddress(_ text: String) throws(Complaint) -> WebAddress {
    let hint = "write it as https://host.example.org/path"
    // Not quoted: a URL may carry a password.
    guard !text.contains("@") else {
        throw Complaint("user names and passwords in a URL are not accepted", hint: hint)
    }
    guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
        throw Complaint("\"\(text.prefix { $0 != "?" })\" is not an http or https URL", hint: hint)
    }
    let rest = text.dropFirst(scheme.utf8.count)
    let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
    let authority = rest[..<end]
    var target = String(rest[end...])
    if target.hasPrefix("?") || target.isEmpty { target = "/\(target)" }
    guard !target.contains("#") else { throw Complaint("the URL has a fragment", hint: "leave out # and what follows") }
    let isSecure = scheme == "https://"
    let hasPort = authority.hasSuffix("]") ? false : authority.contains(":")
    let address = try parseSocketAddress(
        hasPort ? String(authority) : "\(authority):\(isSecure ? 443 : 80)", lowestPort: 1)
    return WebAddress(
        isSecure: isSecure, host: address.host, port: address.port, target: try parseTarget(target), written: text)
}
