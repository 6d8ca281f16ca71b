import Testing

@testable import Settings

/// About how servers are connected to.
@Suite struct `A mistake about peers` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by switching TLS off for a while`() {
        #expect(Self.report("tls: {enabled: false, ca_file: /ca.pem, verify: false}") == "")
    }

    @Test func `is not made by a socket in use with a name`() {
        #expect(Self.report("tls: {enabled: true, server_name: api.test}", server: "unix:/run/api.sock") == "")
    }

    @Test func `is made by a socket whose path the system cannot hold`() {
        let report = Self.report("keep_alive: 1", server: "unix:/" + String(repeating: "a", count: 107))
        #expect(report.hasPrefix("gateway.conf:3:15: error: the path of the socket is 108 bytes long\n"))
        #expect(report.hasSuffix("\n    the system allows no more than 107: choose a shorter one"))
        #expect(Self.report("keep_alive: 1", server: "unix:/" + String(repeating: "a", count: 106)) == "")
    }

    private static func report(_ settings: String, server: String = "127.0.0.1:9000") -> String {
        load(document(settings, server: server)).diagnostics.map(\.description).joined(separator: "\n")
    }

    private static func document(_ settings: String, server: String = "127.0.0.1:9000") -> String {
        """
        upstreams:
          api:
            servers: ["\(server)"]
            \(settings)
        routes: [{path: /, upstream: api, auth: none}]
        """
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "a socket with a relative path", document("keep_alive: 1", server: "unix:run/api.sock"),
            says: """
                gateway.conf:3:15: error: "run/api.sock" is not the absolute path of a socket
                    servers: ["unix:run/api.sock"]
                              ^~~~~~~~~~~~~~~~~~~
                    write unix:/path, such as unix:/run/api.sock
                """),
        Mistake(
            "a protection that was not switched on", document("tls: {ca_file: /ca.pem}"),
            says: """
                gateway.conf:4:20: error: the servers of "api" are spoken to in plain text, so this would do nothing
                    tls: {ca_file: /ca.pem}
                                   ^~~~~~~
                    set "upstreams.api.tls.enabled" to true
                """),
        Mistake(
            "a certificate without its key", document("tls: {enabled: true, certificate_file: /a.pem}"),
            says: """
                gateway.conf:4:44: error: the certificate has no key
                    tls: {enabled: true, certificate_file: /a.pem}
                                                           ^~~~~~
                    set "upstreams.api.tls.key_file"
                """),
        Mistake(
            "a key without its certificate", document("tls: {enabled: true, key_file: /a.key}"),
            says: """
                gateway.conf:4:36: error: the key has no certificate
                    tls: {enabled: true, key_file: /a.key}
                                                   ^~~~~~
                    set "upstreams.api.tls.certificate_file"
                """),
        Mistake(
            "servers that need not prove who they are", document("tls: {enabled: true, verify: false}"),
            says: """
                gateway.conf:4:34: warning: the servers of "api" need not prove who they are: whoever sits in between \
                reads and writes along
                    tls: {enabled: true, verify: false}
                                                 ^~~~~
                    set "upstreams.api.tls.ca_file" to the authority that signed their certificates
                """),
        Mistake(
            "a socket without a name for its certificate",
            document("tls: {enabled: true}", server: "unix:/run/api.sock"),
            says: """
                gateway.conf:3:15: error: the path of a socket is no name that a certificate could be for
                    servers: ["unix:/run/api.sock"]
                              ^~~~~~~~~~~~~~~~~~~~
                    set "upstreams.api.tls.server_name"
                """),
    ]
}
