internal import Glibc
package import Settings
internal import Transport

/// Makes the TLS side of a configuration from its files.
package enum CertificateLoader {
    /// Something is wrong with the file that `setting` names.
    struct Finding: Error {
        let setting: String
        let path: String
        let message: String
        /// It could not be read. That may pass without a change of the file: no descriptor was free, a disk was away.
        var isUnread = false

        /// For diagnostics, which tell the place of the setting themselves.
        var text: String { "the file \"\(path)\" cannot be used: \(message)" }
    }

    /// What is known of a certificate in force.
    struct Facts: Sendable {
        /// The first name, which tells certificates apart in metrics and logs.
        let name: String
        /// Seconds since 1970.
        let notAfter: Int64
        let fingerprint: String
    }

    struct Loaded {
        let context: TLSServerContext
        let facts: [Facts]
        /// What is not as it should be and does not keep the certificates from being used.
        let warnings: [Finding]
    }

    static func load(
        _ tls: Configuration.TLS, tickets: TLSServerContext.TicketKeys, files: FileAccess = .system
    ) throws(Finding) -> Loaded {
        let now = Int64(time(nil))
        var certificates: [TLSCertificate] = []
        var warnings: [Finding] = []
        for entry in tls.certificates {
            let certificateSetting = "\(entry.section).certificate_file"
            var certificate = try pair(
                entry.chainPath, entry.keyPath, of: entry.section, files, acceptsReadableKeys: tls.acceptsReadableKeys)
            if let finding = expiry(of: certificate, certificateSetting, entry.chainPath, at: now) {
                warnings.append(finding)
            } else if certificate.notBefore > now + 300 {
                warnings.append(
                    Finding(
                        setting: certificateSetting, path: entry.chainPath, message: "the certificate is not valid yet")
                )
            }
            if let path = entry.staplePath {
                let setting = "\(entry.section).ocsp_file"
                let response = try read(path, setting, files)
                do throws(TLSCertificate.Problem) {
                    try certificate.staple(response, at: now)
                } catch {
                    warnings.append(Finding(setting: setting, path: path, message: error.description))
                }
            }
            certificates.append(certificate)
        }
        var options = TLSServerContext.Options()
        options.minimumVersion = tls.minimumVersion == .tls13 ? .tls13 : .tls12
        switch tls.clientAuthentication {
        case .none: options.clientAuthentication = .none
        case .optional: options.clientAuthentication = .optional
        case .required: options.clientAuthentication = .required
        }
        if let path = tls.clientAuthorityPath {
            options.clientAuthorities = try read(path, "tls.client_ca_file", files)
        }
        do throws(TLSServerContext.Problem) {
            let context = try TLSServerContext(certificates, options, tickets: tickets)
            let facts = certificates.map {
                Facts(name: $0.names.first ?? "", notAfter: $0.notAfter, fingerprint: $0.fingerprint)
            }
            return Loaded(context: context, facts: facts, warnings: warnings)
        } catch {
            let place =
                error.isAboutClients
                ? "tls.client_ca_file" : "\(tls.certificates[error.index].section).certificate_file"
            throw Finding(
                setting: place,
                path: error.isAboutClients ? tls.clientAuthorityPath ?? "" : tls.certificates[error.index].chainPath,
                message: error.description)
        }
    }

    /// A certificate with its chain and its key.
    /// - Parameter section: has the settings `certificate_file` and `key_file`.
    static func pair(
        _ chainPath: String, _ keyPath: String, of section: String, _ files: FileAccess, acceptsReadableKeys: Bool
    ) throws(Finding) -> TLSCertificate {
        let chainSetting = "\(section).certificate_file"
        let keySetting = "\(section).key_file"
        let chain = try read(chainPath, chainSetting, files)
        let key = try read(keyPath, keySetting, files, isSecret: !acceptsReadableKeys)
        do throws(TLSCertificate.Problem) {
            return try TLSCertificate(chain: chain, key: key)
        } catch {
            let isKey = error.file == .key
            throw Finding(
                setting: isKey ? keySetting : chainSetting, path: isKey ? keyPath : chainPath,
                message: error.description)
        }
    }

    /// Nil: it has not expired.
    /// - Parameter now: seconds since 1970.
    static func expiry(of certificate: TLSCertificate, _ setting: String, _ path: String, at now: Int64) -> Finding? {
        guard certificate.notAfter <= now else { return nil }
        return Finding(setting: setting, path: path, message: "the certificate has expired")
    }

    static func read(
        _ path: String, _ setting: String, _ files: FileAccess, isSecret: Bool = false
    ) throws(Finding) -> [UInt8] {
        switch files.read(path) {
        case .success(let file):
            if isSecret, file.mode & 0o004 != 0 {
                throw Finding(
                    setting: setting, path: path, message: "the key can be read by every user of this machine")
            }
            return file.bytes
        case .failure(let failure):
            throw Finding(setting: setting, path: path, message: failure.reason, isUnread: true)
        }
    }

    /// For a server that the gateway itself asks for something: its certificate must be from the authorities in the file, or,
    /// where none is named, from one of those that this machine trusts.
    static func trust(
        _ path: String?, _ setting: String, _ files: FileAccess
    ) throws(Finding) -> TLSClientContext {
        var trust = TLSClientContext.Trust.system
        if let path { trust = .authorities(pem: try read(path, setting, files)) }
        do throws(TLSClientContext.Problem) {
            return try TLSClientContext(trust, minimumVersion: .tls12, certificate: nil)
        } catch {
            throw Finding(setting: setting, path: path ?? "", message: error.description)
        }
    }

    /// The same for the server of a URL, with the `ca_file` of its section. Nil: there is none, or it is spoken to
    /// in plain text.
    static func trust(
        for url: WebAddress?, of section: String, authorities path: String?, files: FileAccess = .system
    ) throws(Finding) -> TLSClientContext? {
        url?.isSecure == true ? try trust(path, "\(section).ca_file", files) : nil
    }

    /// What `gateway check` and the start of the process say about the files.
    package static func diagnostics(_ result: LoadResult) -> [Diagnostic] {
        guard let configuration = result.configuration else { return [] }
        do throws(Finding) {
            var warnings: [Finding] = []
            if let tls = configuration.tls { warnings += try load(tls, tickets: .random()).warnings }
            warnings += try UpstreamTLSLoader.load(configuration.upstreams).warnings
            if let tls = configuration.redis?.tls {
                _ = try UpstreamTLSLoader.context(tls, .system, &warnings, speaksHTTP: false)
            }
            return warnings.compactMap { finding in
                var diagnostic = result.diagnostic(at: finding.setting, finding.text)
                diagnostic?.severity = .warning
                return diagnostic
            }
        } catch {
            return [result.diagnostic(at: error.setting, error.text)].compactMap(\.self)
        }
    }
}
