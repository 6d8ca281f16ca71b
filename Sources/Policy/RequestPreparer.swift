internal import Settings
package import Wire

extension Gatekeeper {
    /// Stage *prepare*: writes the head of the request for the upstream. Copies the client's fields in runs between those
    /// that must not pass, and adds ours behind them. Belongs to the `decide` of the same bytes.
    ///
    /// Fields that `Connection` names are left out before ours are added, so that `Connection: X-User-Id` cannot take
    /// away what was verified here (CVE-2024-45410).
    /// - Parameter way: of the connection's requests before.
    package func prepare(
        _ plan: Plan, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ trace: RequestTrace,
        peer: IPAddress, link: ClientLink? = nil, way: ForwardingText? = nil, into out: inout ByteWriter
    ) {
        writeRequestLine(bytes, into: &out)
        if head.writesHost { writeHost(facts, bytes, into: &out) }
        // Whoever guesses must not choose the form of the answer, in which his failure stands.
        let mustBePlain =
            !plan.loginRows.isEmpty && !plan.loginRows.isDisjoint(with: rules.loginFailures.rowsWithMembers)
        copyFields(
            bytes, facts.route, mustBePlain: mustBePlain, mayHoldSolution: plan.isLogin && rules.challenge != nil,
            into: &out)
        if mustBePlain { out.append("Accept: application/json\r\nAccept-Encoding: identity\r\n") }
        if let upgrade = protocolChange {
            out.append("Connection: Upgrade\r\nUpgrade: ")
            out.append(upgrade.name)
            out.append("\r\n")
            if let offer = upgrade.offer, !offer.others.isEmpty {
                out.append("Sec-WebSocket-Protocol: ")
                out.append(offer.others)
                out.append("\r\n")
            }
        } else if rules.upstreamsWithoutReuse[plan.upstream] {
            // Whoever knows that it is the last one must say so (RFC 9112 §9.6).
            out.append("Connection: close\r\n")
        }
        if let hops = head.hopsLeft {
            out.append("Max-Forwards: ")
            out.append(decimal: hops)
            out.append("\r\n")
        }
        if head.expectation.isListed { out.append("Expect: 100-continue\r\n") }
        if head.writesLength { writeLength(facts.framing, into: &out) }
        if facts.framing == .chunked { out.append("Transfer-Encoding: chunked\r\n") }
        writeWay(facts, bytes, peer, way, into: &out)
        trace.write(into: &out)
        if let link, !link.certificateFields.isEmpty { out.append(link.certificateFields) }
        if let identity {
            out.append(identity.identityFields)
            asserter?.write(identity, upstream: plan.upstream, at: decidedAt, into: &out)
        }
        writeGrace(into: &out)
        writeBreakGlass(into: &out)
        out.append("\r\n")
    }

    private func writeRequestLine(_ bytes: Span<UInt8>, into out: inout ByteWriter) {
        out.append(bytes, head.line.method)
        out.append(" ")
        if case .asterisk = head.form {
            out.append("*")
        } else {
            out.append(canonicalPath(bytes))
            writeQuery(bytes, into: &out)
        }
        out.append(" HTTP/1.1\r\n")
    }

    /// HTTP/1.0 may come without one, HTTP/1.1 must not go without; and an absolute target stands for whatever the client
    /// wrote there (RFC 9112 §3.2.2), so that nobody behind us is addressed by another name than the one that routed.
    private func writeHost(_ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, into out: inout ByteWriter) {
        out.append("Host: ")
        out.append(bytes, facts.authority)
        out.append("\r\n")
    }

    /// Without its leading zeros, which some programs take for octal, and without white space behind it.
    private func writeLength(_ framing: BodyFraming, into out: inout ByteWriter) {
        let length: Int64 = if case .length(let length) = framing { length } else { 0 }
        out.append("Content-Length: ")
        out.append(decimal: Int(length))
        out.append("\r\n")
    }

    /// - Parameters:
    ///   - mustBePlain: the client has no say in the form of the answer.
    ///   - mayHoldSolution: it is a login, and a cookie of it may be ours.
    private func copyFields(
        _ bytes: Span<UInt8>, _ route: Int?, mustBePlain: Bool, mayHoldSolution: Bool, into out: inout ByteWriter
    ) {
        guard fields.count > 0 else { return }
        // Nobody has verified it, in whatever scheme it is, and a backend might not either.
        let mustGo = head.glass != nil
        var run = Int(fields[0].nameStart)
        for index in 0..<fields.count {
            let field = fields[index]
            let kind = classes[index]
            var keep: Bool
            switch kind {
            case .traceparent, .requestID: keep = false  // written anew
            case .host: keep = !head.writesHost
            case .maxForwards: keep = head.hopsLeft == nil
            case .contentLength: keep = !head.writesLength
            case .tracestate: keep = head.continuesTrace
            case .expect: keep = head.expectation.keeps(index)
            case .webSocketProtocol: keep = head.subprotocols == nil
            case .authorization: keep = !mustGo && places(route)?.keepsAuthorization(field.value, of: bytes) ?? true
            case .cookie:
                keep =
                    places(route)?.keepsCookies(field.value, of: bytes, mustGo) ?? true
                    && !(mayHoldSolution && holdsSolution(field.value, of: bytes))
            default:
                keep =
                    !kind.isStripped && !(mustBePlain && AnswerMember.choosesForm(bytes.extracting(field.name)))
            }
            if keep, head.connection.namesFields, kind.isRemovedByConnection,
                !(head.isPreflight && kind.makesPreflight), isNamedByConnection(field, bytes)
            {
                keep = false
            }
            if !keep {
                out.append(bytes, run..<Int(field.nameStart))
                run = Int(field.end)
                if kind == .cookie {
                    writeCookies(bytes, field.value, places(route), mustGo, mayHoldSolution, into: &out)
                }
            }
        }
        out.append(bytes, run..<Int(fields[fields.count - 1].end))
    }

    /// Where the route looks for the token.
    private func places(_ route: Int?) -> TokenPlaces? { route.map { rules.tokenPlaces[$0] } }

    /// A Cookie field that may not go on as it came.
    private func writeCookies(
        _ bytes: Span<UInt8>, _ value: Range<Int>, _ places: TokenPlaces?, _ mustGo: Bool, _ mayHoldSolution: Bool,
        into out: inout ByteWriter
    ) {
        var names: [[UInt8]] = []
        if let places, !places.keepsCookies(value, of: bytes, mustGo) { names.append(places.cookie) }
        if mayHoldSolution { names.append(Array(ChallengePage.cookie.utf8)) }
        Cookies.write(without: names, bytes, value, into: &out)
    }

    private func isNamedByConnection(_ field: Field, _ bytes: Span<UInt8>) -> Bool {
        let name = bytes.extracting(field.name)
        for index in 0..<fields.count where classes[index] == .connection {
            if ConnectionOptions.names(bytes.extracting(fields[index].value), field: name) { return true }
        }
        return false
    }

    /// What the upstream learns of the request's way: copied from `way` if a request before was told the same.
    private func writeWay(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ peer: IPAddress, _ way: ForwardingText?,
        into out: inout ByteWriter
    ) {
        let trustsPeer = rules.trusted.contains(peer)
        let host = bytes.extracting(facts.authority)
        // A trusted proxy sends the requests of many clients, and says of each where it came from.
        if !trustsPeer, let way {
            let text = way.of(facts, host, peer)
            if !text.isEmpty { return out.append(text) }
        }
        let start = out.count
        let hostPlace = writeForwarding(facts, bytes, peer, trustsPeer, into: &out)
        out.append("Via: 1.")
        out.append(UInt8(ascii: "0") + facts.minorVersion)
        out.append(" ")
        out.append(text: rules.viaName)
        out.append("\r\n")
        guard !trustsPeer, let way, !out.overflowed else { return }
        let hostStart = hostPlace - start
        way.keep(out.bytes.extracting(start...), of: facts, host: hostStart..<hostStart + host.count, peer)
    }

    /// X-Forwarded-* and Forwarded (RFC 7239). What a trusted proxy said before is continued, anybody else's is replaced.
    /// - Returns: where in `out` the host stands.
    private func writeForwarding(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ peer: IPAddress, _ trustsPeer: Bool,
        into out: inout ByteWriter
    ) -> Int {
        var hostPlace = out.count
        out.append("X-Forwarded-For: ")
        if trustsPeer, head.forwardedForCount > 0 {
            // A field without a value would leave an empty element, which a sender must not make (RFC 9110 §5.6.1.1).
            for index in 0..<fields.count where classes[index] == .xForwardedFor && !fields[index].value.isEmpty {
                out.append(bytes, fields[index].value)
                out.append(", ")
            }
        }
        out.append(peer)
        out.append("\r\nX-Forwarded-Proto: ")
        let proto = trustsPeer ? single(.xForwardedProto, bytes) : nil
        if let proto { out.append(bytes, proto) } else { out.append(facts.isSecure ? "https" : "http") }
        out.append("\r\n")
        let said = trustsPeer ? single(.xForwardedHost, bytes) : nil
        let host = if let said { said } else { facts.authority }
        if !host.isEmpty {
            out.append("X-Forwarded-Host: ")
            hostPlace = out.count
            out.append(bytes, host)
            out.append("\r\n")
        }
        guard rules.configuration.forwarding.forwarded else { return hostPlace }
        out.append(facts.client.isV4 ? "Forwarded: for=" : "Forwarded: for=\"[")
        out.append(facts.client)
        if !facts.client.isV4 { out.append("]\"") }
        if !host.isEmpty {
            out.append(";host=\"")
            out.append(bytes, host)
            out.append("\"")
        }
        out.append(";proto=")
        if let proto { out.append(bytes, proto) } else { out.append(facts.isSecure ? "https" : "http") }
        out.append("\r\n")
        return hostPlace
    }

    /// The value of a field that occurs once and is made of characters that a scheme or host may have.
    func single(_ kind: FieldClass, _ bytes: Span<UInt8>) -> Range<Int>? {
        var found: Range<Int>?
        for index in 0..<fields.count where classes[index] == kind {
            guard found == nil else { return nil }
            found = fields[index].value
        }
        guard let found, !found.isEmpty else { return nil }
        for index in found {
            switch bytes[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                continue
            default: return nil
            }
        }
        return found
    }
}
