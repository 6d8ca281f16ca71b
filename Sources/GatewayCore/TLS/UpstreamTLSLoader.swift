internal import Glibc
internal import Settings
internal import Transport

/// Makes the TLS side of the upstreams from their files, anew for every configuration.
enum UpstreamTLSLoader {
    struct Loaded {
        /// In the order of the upstreams; nil: plain text.
        let contexts: [TLSClientContext?]
        /// What is not as it should be and keeps nobody from connecting.
        let warnings: [CertificateLoader.Finding]
    }

    static func load(
        _ upstreams: [Configuration.Upstream], files: FileAccess = .system
    ) throws(CertificateLoader.Finding) -> Loaded {
        var contexts: [TLSClientContext?] = []
        var warnings: [CertificateLoader.Finding] = []
        for upstream in upstreams {
            guard let tls = upstream.tls else {
                contexts.append(nil)
                continue
            }
            contexts.append(try context(tls, files, &warnings))
        }
        return Loaded(contexts: contexts, warnings: warnings)
    }

    /// - Parameter speaksHTTP: whether the servers are told so (ALPN).
    static func context(
        _ tls: Configuration.Upstream.TLS, _ files: FileAccess, _ warnings: inout [CertificateLoader.Finding],
        speaksHTTP: Bool = true
    ) throws(CertificateLoader.Finding) -> TLSClientContext {
        let trust: TLSClientContext.Trust
        var authorityPath = ""
        switch tls.trust {
        case .system: trust = .system
        case .anybody: trust = .anybody
        case .authorities(let path):
            authorityPath = path
            trust = .authorities(pem: try CertificateLoader.read(path, "\(tls.section).ca_file", files))
        }
        let certificate = try ownCertificate(tls, files, &warnings)
        do throws(TLSClientContext.Problem) {
            return try TLSClientContext(
                trust, minimumVersion: tls.minimumVersion == .tls13 ? .tls13 : .tls12, certificate: certificate,
                speaksHTTP: speaksHTTP)
        } catch {
            switch error.subject {
            case .authorities:
                throw CertificateLoader.Finding(
                    setting: "\(tls.section).ca_file", path: authorityPath, message: error.description)
            case .certificate:
                throw CertificateLoader.Finding(
                    setting: "\(tls.section).certificate_file", path: tls.chainPath ?? "", message: error.description)
            }
        }
    }

    /// What is shown to servers that ask for a certificate.
    private static func ownCertificate(
        _ tls: Configuration.Upstream.TLS, _ files: FileAccess, _ warnings: inout [CertificateLoader.Finding]
    ) throws(CertificateLoader.Finding) -> TLSCertificate? {
        guard let chainPath = tls.chainPath, let keyPath = tls.keyPath else { return nil }
        let certificate = try CertificateLoader.pair(
            chainPath, keyPath, of: tls.section, files, acceptsReadableKeys: tls.acceptsReadableKeys)
        let setting = "\(tls.section).certificate_file"
        if let finding = CertificateLoader.expiry(of: certificate, setting, chainPath, at: Int64(time(nil))) {
            warnings.append(finding)
        }
        return certificate
    }
}
