internal import COpenSSL

/// How the gateway presents itself to clients: its certificates by name, what it demands of them, what it speaks. Immutable;
/// shared by all workers. New certificates make a new one, and connections under way keep theirs.
package final class TLSServerContext: Sendable {
    package enum ClientAuthentication: Sendable {
        case none
        /// Asked for; a client without one gets in, one with a bad one does not.
        case optional
        case required
    }

    package struct Options: Sendable {
        package var minimumVersion = TLSMinimumVersion.tls12
        package var clientAuthentication = ClientAuthentication.none
        /// PEM: the authorities of clients' certificates.
        package var clientAuthorities: [UInt8] = []
        package init() {}
    }

    package struct Problem: Error, Sendable, CustomStringConvertible {
        package let description: String
        /// Of the certificate it is about.
        package var index = 0
        /// It is about the authorities of clients.
        package var isAboutClients = false
    }

    /// What a ticket is encrypted with. Who has it can open sessions of others, so it never leaves the process.
    package struct TicketKeys: Sendable {
        fileprivate var bytes: [UInt8]
        package static func random() -> TicketKeys {
            var bytes = [UInt8](repeating: 0, count: TicketKeys.count)
            RAND_bytes(&bytes, Int32(bytes.count))
            return TicketKeys(bytes: bytes)
        }
        fileprivate static let count = 80
    }

    /// One per group of `names`, in its order. Owned. OpenSSL counts their users with atomics and changes nothing in them
    /// once sessions are made from them, so threads may share them.
    nonisolated(unsafe) private let contexts: [OpaquePointer]
    private let certificates: [TLSCertificate]
    private let options: Options
    private let names: ServerNames

    /// - Parameter certificates: at least one; the first answers clients that name none of the names.
    package init(_ certificates: [TLSCertificate], _ options: Options, tickets: TicketKeys) throws(Problem) {
        defer { ERR_clear_error() }
        names = ServerNames(certificates.map { ($0.names, $0.kind) })
        var contexts: [OpaquePointer] = []
        do throws(Problem) {
            for group in names.groups {
                contexts.append(
                    try TLSServerContext.makeContext(group.map { ($0, certificates[$0]) }, options, tickets))
            }
        } catch {
            for context in contexts { SSL_CTX_free(context) }
            throw error
        }
        self.contexts = contexts
        self.certificates = certificates
        self.options = options
        for context in contexts {
            // Rule 1 for C callbacks: the contexts are ours, and a session keeps this object, so it outlives every call.
            gateway_ssl_on_server_name(
                context,
                { ssl, _, owner in Unmanaged<TLSServerContext>.fromOpaque(owner!).takeUnretainedValue().choose(ssl!) },
                Unmanaged.passUnretained(self).toOpaque())
            gateway_ssl_on_status(
                context,
                { ssl, owner in Unmanaged<TLSServerContext>.fromOpaque(owner!).takeUnretainedValue().staple(ssl!) },
                Unmanaged.passUnretained(self).toOpaque())
        }
    }

    /// The same with other keys of tickets, whatever has become of the files since.
    package func renewed(_ tickets: TicketKeys) throws(Problem) -> TLSServerContext {
        try TLSServerContext(certificates, options, tickets: tickets)
    }

    deinit { for context in contexts { SSL_CTX_free(context) } }

    /// A session for a connection that was accepted. Nil: no memory.
    package func accept(_ socket: StreamSocket) -> TLSSession? {
        guard let ssl = SSL_new(contexts[0]) else { return nil }
        SSL_set_accept_state(ssl)
        return TLSSession(ssl, on: socket, context: self)
    }

    /// - Parameter certificates: each of another kind of key, with their places among all.
    private static func makeContext(
        _ certificates: [(index: Int, certificate: TLSCertificate)], _ options: Options, _ tickets: TicketKeys
    ) throws(Problem) -> OpaquePointer {
        guard let context = TLSContext.make(TLS_server_method(), options.minimumVersion) else {
            throw Problem(description: "no memory for TLS")
        }
        var failure: Problem?
        func demand(_ result: Bool, _ problem: @autoclosure () -> Problem) {
            if !result, failure == nil { failure = problem() }
        }
        SSL_CTX_set_options(context, gateway_ssl_op_server_preference())
        gateway_ssl_no_session_cache(context)
        var keys = tickets.bytes
        demand(
            gateway_ssl_set_ticket_keys(context, &keys, keys.count) == 1,
            Problem(description: "the ticket keys cannot be set"))
        // RFC 8446 §8: early data can be replayed, and a gateway that counts guesses cannot let them be.
        SSL_CTX_set_max_early_data(context, 0)
        SSL_CTX_set_alpn_select_cb(
            context,
            { _, out, count, offered, length, _ in
                selectProtocol(out!, count!, UnsafeBufferPointer(start: offered, count: Int(length)))
            }, nil)
        for (index, certificate) in certificates {
            let words = TLSContext.show(certificate, in: context)
            demand(words == nil, Problem(description: words ?? "", index: index))
        }
        if options.clientAuthentication != .none {
            demand(
                demandCertificates(of: options, in: context),
                Problem(description: "it holds no certificate in PEM form", isAboutClients: true))
        }
        // A session may be resumed only under the rules that it was made under, and no longer than the certificate is
        // valid that was shown then.
        var rules: [UInt8] =
            switch options.clientAuthentication {
            case .none: [0]
            case .optional: options.clientAuthorities + [1]
            case .required: options.clientAuthorities + [2]
            }
        SSL_CTX_set_session_ticket_cb(
            context, nil, { _, session, _, _, status, _ in resumption(of: session, status) }, nil)
        var identifier = [UInt8](repeating: 0, count: 32)
        EVP_Digest(&rules, rules.count, &identifier, nil, EVP_sha256(), nil)
        SSL_CTX_set_session_id_context(context, identifier, 32)
        if let failure {
            SSL_CTX_free(context)
            throw failure
        }
        return context
    }

    private static func demandCertificates(of options: Options, in context: OpaquePointer) -> Bool {
        guard
            TLSContext.trust(
                options.clientAuthorities, in: context, { SSL_CTX_add_client_CA(context, $0.pointer) == 1 })
        else { return false }
        var mode = SSL_VERIFY_PEER
        if options.clientAuthentication == .required { mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT }
        SSL_CTX_set_verify(context, mode, nil)
        return true
    }

    // MARK: Callbacks

    private func choose(_ ssl: OpaquePointer) -> Int32 {
        guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return SSL_TLSEXT_ERR_OK }
        let group = names.group(for: String(cString: name))
        if group != 0 { SSL_set_SSL_CTX(ssl, contexts[group]) }
        return SSL_TLSEXT_ERR_OK
    }

    private func staple(_ ssl: OpaquePointer) -> Int32 {
        // OpenSSL has chosen among the kinds of key before it asks.
        let shown = SSL_get_certificate(ssl)
        guard let certificate = certificates.first(where: { $0.leaf.pointer == shown }),
            let staple = certificate.staple, Int64(time(nil)) < certificate.stapleUntil,
            gateway_ssl_set_status(ssl, staple, staple.count) == 1
        else { return SSL_TLSEXT_ERR_NOACK }
        return SSL_TLSEXT_ERR_OK
    }
}

/// What becomes of a ticket that was shown; where it is ignored, a full handshake follows.
private func resumption(of session: OpaquePointer?, _ status: SSL_TICKET_STATUS) -> SSL_TICKET_RETURN {
    guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW else {
        return SSL_TICKET_RETURN_IGNORE_RENEW
    }
    if let session, let certificate = SSL_SESSION_get0_peer(session),
        X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0
    {
        return SSL_TICKET_RETURN_IGNORE_RENEW
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
}

/// RFC 7301 §3.2: a client that offers protocols and not ours is turned away rather than misunderstood.
private func selectProtocol(
    _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>, _ count: UnsafeMutablePointer<UInt8>,
    _ offered: UnsafeBufferPointer<UInt8>
) -> Int32 {
    let wanted: StaticString = "http/1.1"
    var place = 0
    while place < offered.count {
        let length = Int(offered[place])
        guard place + 1 + length <= offered.count else { break }
        let name = UnsafeBufferPointer(rebasing: offered[(place + 1)..<(place + 1 + length)])
        if name.elementsEqual(UnsafeBufferPointer(start: wanted.utf8Start, count: wanted.utf8CodeUnitCount)) {
            out.pointee = name.baseAddress
            count.pointee = UInt8(length)
            return SSL_TLSEXT_ERR_OK
        }
        place += 1 + length
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}
