private import Wire

extension SettingRows {
    static let tls: [SettingRow] = [
        SettingRow(
            "tls.listen", .list(.listener), .absent("`0.0.0.0:8443` when there is a certificate"),
            example: "[\"192.0.2.1:443\", \"[::1]:8443\"]", "Addresses that clients connect to with TLS."),
        SettingRow(
            "tls.certificate_file", .file, .absent("no TLS"), example: "/etc/gateway/tls/chain.pem",
            variables: [.init(name: "TLS_CERT_PATH", part: .whole)],
            "Certificate in PEM, followed by the intermediate ones; also for clients that name no known host."),
        SettingRow(
            "tls.key_file", .file, .absent("no TLS"), example: "/etc/gateway/tls/key.pem",
            variables: [.init(name: "TLS_KEY_PATH", part: .whole)],
            "Its private key in PEM, without a passphrase."),
        SettingRow(
            "tls.ocsp_file", .file, .absent("nothing is stapled"), example: "/etc/gateway/tls/ocsp.der",
            "OCSP response in DER to staple; it is left out when it is out of date."),
        SettingRow(
            "tls.certificates[].certificate_file", .file, .required, example: "/etc/gateway/tls/b/chain.pem",
            "Certificate in PEM, followed by the intermediate ones."),
        SettingRow(
            "tls.certificates[].key_file", .file, .required, example: "/etc/gateway/tls/b/key.pem",
            "Its private key in PEM, without a passphrase."),
        SettingRow(
            "tls.certificates[].ocsp_file", .file, .absent("nothing is stapled"),
            example: "/etc/gateway/tls/b/ocsp.der",
            "OCSP response in DER to staple."),
        SettingRow(
            "tls.min_version", .choice(Configuration.TLS.Version.allCases.map(\.rawValue)), .value("1.2"),
            example: "1.3", "The oldest version of TLS that is spoken (RFC 8996 forbids those before 1.2)."),
        SettingRow(
            "tls.client_ca_file", .file, .absent("clients need no certificate"),
            example: "/etc/gateway/tls/clients.pem",
            "Authorities in PEM whose client certificates are accepted."),
        SettingRow(
            "tls.client_auth", .choice(Configuration.TLS.ClientAuthentication.allCases.map(\.rawValue)),
            .absent("`required` with `client_ca_file`, else `none`"), example: "optional",
            "Whether clients must show a certificate in the handshake."),
        SettingRow(
            "tls.redirect", .boolean, .value("false"), example: "true",
            variables: [.init(name: "FORCE_HTTPS", part: .whole)],
            "Whether requests without TLS are answered with 308 and the https address."),
        SettingRow(
            "tls.redirect_port", .integer(1...65_535), .absent("the port of the first `tls.listen`"), example: "443",
            "Port in the https address that requests are redirected to; 443 is left out of it."),
        SettingRow(
            "tls.hsts_max_age", .duration(.zero...(.seconds(10 * 366 * 86_400))), .value("0s"), example: "365d",
            variables: [.init(name: "HSTS_MAX_AGE", part: .seconds)],
            "How long browsers shall insist on HTTPS (RFC 6797). Said over TLS only, and over that of a trusted proxy; "
                + "0 says nothing."),
        SettingRow(
            "tls.hsts_include_subdomains", .boolean, .value("false"), example: "true",
            "Whether browsers shall insist on it for all names below the one they asked for, too."),
        SettingRow(
            "security_headers.enabled", .boolean, .value("false"), example: "true",
            variables: [.init(name: "SECURITY_HEADERS_ENABLED", part: .whole)],
            "Whether X-Content-Type-Options, X-Frame-Options and Referrer-Policy are added to answers that lack them."),
        SettingRow(
            "security_headers.content_security_policy", .text, .absent("none is added"), example: "default-src 'self'",
            variables: [.init(name: "CSP_POLICY", part: .whole)],
            "Content-Security-Policy for answers that lack one."),
    ]
}
