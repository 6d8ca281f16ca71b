extension Configuration {
    /// How clients are served over TLS; nil in a configuration without a certificate.
    package struct TLS: Sendable {
        package enum Version: String, CaseIterable, Sendable {
            case tls12 = "1.2"
            case tls13 = "1.3"
        }

        package enum ClientAuthentication: String, CaseIterable, Sendable {
            case none, optional, required
        }

        /// Paths of one certificate's files, and the section of the settings that names them: `tls`,
        /// `tls.certificates[0]`.
        package struct Certificate: Hashable, Sendable {
            package var section: String
            package var chainPath: String
            package var keyPath: String
            package var staplePath: String?
        }

        package var listeners: [SocketAddressText]
        /// The default one first; never empty.
        package var certificates: [Certificate]
        package var minimumVersion: Version
        package var clientAuthorityPath: String?
        package var clientAuthentication: ClientAuthentication
        /// Whether key files that everybody can read are accepted.
        package var acceptsReadableKeys: Bool
        /// Where there is a certificate and no address.
        static let defaultListener = SocketAddressText(host: "0.0.0.0", port: 8_443)
        /// The port of the https address that requests without TLS are sent to; nil: they are served.
        package var redirectPort: UInt16?
    }

    /// Fields for answers that lack them.
    package struct SecurityHeaders: Sendable {
        package var isOn = false
        package var contentSecurityPolicy: String?
        /// `max-age` of Strict-Transport-Security in seconds, written where the client's own connection is secure, by our TLS
        /// or by the word of a trusted proxy; 0: never.
        package var strictTransportSeconds = 0
        /// The same holds for all names below the one that was asked for (RFC 6797 §6.1.2).
        package var strictTransportIncludesSubdomains = false
        package init() {}
    }
}

extension Configuration.Upstream {
    /// How the servers of an upstream are spoken to over TLS.
    package struct TLS: Sendable {
        package enum Trust: Hashable, Sendable {
            /// The authorities that this machine trusts.
            case system
            /// Those of a file in PEM.
            case authorities(path: String)
            /// Encrypted to whoever answers.
            case anybody
        }

        /// Where its settings stand: `upstreams.api.tls`.
        package var section: String
        package var trust: Trust
        /// The name to ask for and to find in the certificate; nil: the server's own, as it was written.
        package var serverName: String?
        /// A certificate of ours, for servers that ask for one; both or none.
        package var chainPath: String?
        package var keyPath: String?
        package var minimumVersion: Configuration.TLS.Version
        package var acceptsReadableKeys: Bool
    }
}
