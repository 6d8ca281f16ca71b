internal import COpenSSL
internal import Wire

/// How the gateway speaks to the servers of one upstream: whom it believes, what it shows. Immutable; shared by all
/// workers. A reload makes a new one, and connections under way keep theirs.
package final class TLSClientContext: Sendable {
    package enum Trust: Sendable {
        /// The authorities that this machine trusts.
        case system
        /// PEM. What is in it is trusted as it stands, an intermediate authority too.
        case authorities(pem: [UInt8])
        /// Whoever answers.
        case anybody
    }

    package struct Problem: Error, Sendable, CustomStringConvertible {
        package enum Subject: Sendable { case authorities, certificate }
        package let subject: Subject
        package let description: String
    }

    /// Owned. OpenSSL counts its users with atomics and changes nothing in it once sessions are made from it, so threads
    /// may share it.
    nonisolated(unsafe) private let context: OpaquePointer
    private let checksNames: Bool

    /// - Parameters:
    ///   - certificate: shown to servers that ask for one.
    ///   - speaksHTTP: whether servers are told that it is HTTP/1.1.
    package init(
        _ trust: Trust, minimumVersion: TLSMinimumVersion, certificate: TLSCertificate?, speaksHTTP: Bool = true
    ) throws(Problem) {
        defer { ERR_clear_error() }
        guard let context = TLSContext.make(TLS_client_method(), minimumVersion) else {
            throw Problem(subject: .authorities, description: "no memory for TLS")
        }
        var problem: Problem?
        switch trust {
        case .system:
            if SSL_CTX_set_default_verify_paths(context) != 1 {
                problem = Problem(subject: .authorities, description: "the authorities of this machine cannot be read")
            }
        case .authorities(let pem):
            if !TLSContext.trust(pem, in: context) {
                problem = Problem(subject: .authorities, description: "it holds no certificate in PEM form")
            }
            X509_STORE_set_flags(SSL_CTX_get_cert_store(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        case .anybody: break
        }
        if case .anybody = trust { checksNames = false } else { checksNames = true }
        SSL_CTX_set_verify(context, checksNames ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        if problem == nil, let certificate, let words = TLSContext.show(certificate, in: context) {
            problem = Problem(subject: .certificate, description: words)
        }
        // RFC 7301: who speaks only other protocols should say so in the handshake.
        let protocols: StaticString = "\u{8}http/1.1"
        if speaksHTTP {
            SSL_CTX_set_alpn_protos(context, protocols.utf8Start, UInt32(protocols.utf8CodeUnitCount))
        }
        gateway_ssl_client_sessions(context)
        // Called by OpenSSL inside of a handshake or a read, on the thread of that connection. The `TLSClient` is kept by
        // its sessions, so it outlives every call; it takes the session over (1).
        SSL_CTX_sess_set_new_cb(
            context,
            { ssl, session in
                Unmanaged<TLSClient>.fromOpaque(SSL_get_ex_data(ssl, 0)).takeUnretainedValue().keep(session!)
                return 1
            })
        self.context = context
        if let problem { throw problem }
    }

    deinit { SSL_CTX_free(context) }

    /// A session that will ask for `name`, and find it in the server's certificate. Nil: no memory. The caller's to free.
    fileprivate func makeSession(for name: String) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        SSL_set_connect_state(ssl)
        let isAddress = IPAddress(name) != nil
        // RFC 6066 §3: literal addresses are not permitted in SNI.
        var isSet = isAddress || name.isEmpty || gateway_ssl_set_host_name(ssl, name) == 1
        if checksNames {
            // RFC 9525 §6.3: subject alternative names only, no common names, and a star stands for a whole label.
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            let isExpected =
                isAddress ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) : SSL_set1_host(ssl, name)
            isSet = isSet && isExpected == 1 && !name.isEmpty
        }
        guard isSet else {
            SSL_free(ssl)
            return nil
        }
        return ssl
    }
}

/// One server as its clients on one thread see it: its name, and the session to come back with. A session is resumed only
/// under the context that it was made under: what was believed then is believed still.
package final class TLSClient {
    private let context: TLSClientContext
    private let name: String
    /// The newest one. Owned.
    private var session: OpaquePointer?

    /// - Parameter name: a host name or an address without brackets; empty only if nobody is checked.
    package init(_ context: TLSClientContext, name: String) {
        self.context = context
        self.name = name
    }

    deinit { forget() }

    /// A session for a connection that is under way. Nil: no memory.
    package func connect(on socket: StreamSocket) -> TLSSession? {
        guard let ssl = context.makeSession(for: name) else { return nil }
        // Unretained: the session keeps this object (`context`) until it has freed `ssl`.
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        if let session { SSL_set_session(ssl, session) }
        return TLSSession(ssl, on: socket, context: self)
    }

    /// Takes the session over.
    fileprivate func keep(_ newer: OpaquePointer) {
        forget()
        session = newer
    }

    private func forget() {
        if let session { SSL_SESSION_free(session) }
        session = nil
    }
}
