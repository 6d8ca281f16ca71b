package import Wire

/// A final response head that was understood.
package struct Response: Sendable {
    package let status: Int
    package let headLength: Int
    package let framing: BodyFraming
    /// The server will take another request on this connection.
    package let keepAlive: Bool
    /// The head speaks of a body that must not come (HEAD, 304; RFC 9112 §6.3). Some servers send it, and it would be read as
    /// the next answer.
    package let mayBeFollowed: Bool
    /// The client gets chunks: it knows HTTP/1.1, and the length is not known ahead.
    package let writesChunks: Bool
    /// The client learns the end of the body only from the end of the connection.
    package let endsWithConnection: Bool
    /// The rules by which it is the answer to a failed login.
    package let failedRows: LoginRows
    package var isFailedLogin: Bool { !failedRows.isEmpty }
    /// The rules by which its body has to say whether it is one: it is held back until `rows(ofBody:)` knows.
    package let undecidedRows: LoginRows
    /// `text/event-stream`: it may be quiet for long, and stay open for longer.
    package let isEventStream: Bool
}

/// What of a request its response depends on.
package struct ResponseContext: Sendable {
    package let isHead: Bool
    package let minorVersion: UInt8
    /// `Plan.loginRows`.
    package let loginRows: LoginRows
    /// The client's own connection is secure.
    package let isSecure: Bool
    /// What the server was asked to change to.
    package let upgrade: Upgrade?
    /// `Plan.tokenIsInQuery`.
    package let tokenIsInQuery: Bool
    /// What the answer tells of a rate limit.
    package let rate: RateStanding?

    package init(
        isHead: Bool, minorVersion: UInt8, loginRows: LoginRows, isSecure: Bool = false, upgrade: Upgrade? = nil,
        tokenIsInQuery: Bool = false, rate: RateStanding? = nil
    ) {
        self.rate = rate
        self.tokenIsInQuery = tokenIsInQuery
        self.isSecure = isSecure
        self.upgrade = upgrade
        self.isHead = isHead
        self.minorVersion = minorVersion
        self.loginRows = loginRows
    }
}

/// Understands the heads of responses and writes them anew for the client. As strict as the parser of requests: an answer
/// that two clients could read differently is refused with 502.
package struct ResponseReader: ~Copyable {
    /// What the bytes so far are.
    package enum Outcome {
        case incomplete
        /// A 1xx head of this length; the final one follows.
        case interim(status: Int, length: Int)
        case final(Response)
        /// A 101 that agrees to what was asked: behind this length the other protocol begins.
        case switching(length: Int)
        case malformed
        /// Malformed, but it says that a login failed. What a client can make a backend write into its answer must not
        /// buy it a guess that is not counted.
        case malformedFailedLogin(LoginRows)
    }

    private(set) var fields: FieldTable
    /// What each of the fields is; found out once per head.
    private var kinds: [ResponseField]
    private var connection = ConnectionOptions()
    private let limits: HeadParser.Limits
    let failures: LoginFailures
    /// What stands behind the version in Via.
    private let via: [UInt8]
    private let hardening: ResponseHardening

    package init(_ rules: GatekeeperRules) {
        fields = FieldTable(capacity: rules.fieldLimit)
        kinds = Array(repeating: .other, count: rules.fieldLimit)
        limits = rules.headLimits
        failures = rules.loginFailures
        hardening = ResponseHardening(rules.configuration)
        via = Array(" \(rules.viaName)\r\n".utf8)
    }

    /// Reads the head that `bytes` begin with. The `write` functions belong to the `parse` right before them.
    package mutating func parse(_ bytes: Span<UInt8>, to context: ResponseContext) -> Outcome {
        switch HeadParser.parseResponse(bytes, into: &fields, limits: limits) {
        case .incomplete: return .incomplete
        case .malformed: return malformed(bytes, context)
        case .complete(let line, let length):
            if line.status == 101 { return agrees(line, bytes, context) ? .switching(length: length) : .malformed }
            if line.status < 200 { return classify(bytes) ? .interim(status: line.status, length: length) : .malformed }
            return settle(line, length, bytes, context)
        }
    }

    /// Nobody may change to a protocol that was not asked for, and both sides must mean the same one (RFC 9110 §7.8;
    /// RFC 6455 §4.1, "the client must" 2 to 4).
    private mutating func agrees(_ line: StatusLine, _ bytes: Span<UInt8>, _ context: ResponseContext) -> Bool {
        guard let upgrade = context.upgrade, line.minorVersion >= 1, classify(bytes), connection.upgrades else {
            return false
        }
        let asked = upgrade.name
        let proof = upgrade.accept
        var upgrades = 0
        var accepts = 0
        var choices = 0
        for index in 0..<fields.count {
            let name = bytes.extracting(fields[index].name)
            let value = bytes.extracting(fields[index].value)
            if name.equalsIgnoringCase("upgrade") {
                guard asked.span.equalsIgnoringCase(value) else { return false }
                upgrades += 1
            } else if upgrade.isWebSocket, name.equalsIgnoringCase("sec-websocket-accept") {
                guard proof.span.equals(value) else { return false }
                accepts += 1
            } else if let offer = upgrade.offer, name.equalsIgnoringCase("sec-websocket-protocol") {
                // One of those that it was offered; the client was heard to offer more.
                guard offer.holds(value), choices == 0 else { return false }
                choices += 1
            }
        }
        return upgrades == 1 && accepts == (upgrade.isWebSocket ? 1 : 0)
    }

    private mutating func settle(
        _ line: StatusLine, _ length: Int, _ bytes: Span<UInt8>, _ context: ResponseContext
    ) -> Outcome {
        guard classify(bytes) else { return malformed(bytes, context) }
        var framing = FramingFields()
        var isEventStream = false
        for index in 0..<fields.count {
            let field = fields[index]
            let value = bytes.extracting(field.value)
            switch kinds[index] {
            case .contentLength: framing.contentLength(value)
            case .transferEncoding: framing.transferEncoding(value)
            case .contentType: isEventStream = value.isMediaType("text/event-stream")
            case .connection, .hopByHop, .date, .requestID, .other: break
            }
        }
        let settled = framing.settleResponse(
            status: line.status, toHead: context.isHead, minorVersion: line.minorVersion)
        guard case .success(let body) = settled else { return malformed(bytes, context) }
        // A server that announces a body where none may be might send it, and it would be read as the next response.
        let isSound = line.status != 204 || !framing.announcesBody
        let keepAlive = !connection.closes && (line.minorVersion >= 1 || connection.keepsAlive) && isSound
        let failed =
            context.loginRows.isEmpty
            ? LoginRows()
            : failures.rows(of: context.loginRows, status: line.status, hasBody: body != .none, fields, bytes)
        let undecided =
            context.loginRows.isEmpty || body == .none
            ? LoginRows() : context.loginRows.intersection(failures.rowsWithMembers).subtracting(failed)
        let lengthUnknown = body == .chunked || body == .untilClose
        return .final(
            Response(
                status: line.status, headLength: length, framing: body,
                keepAlive: keepAlive && body != .untilClose,
                mayBeFollowed: body == .none && framing.announcesBody,
                writesChunks: lengthUnknown && context.minorVersion >= 1,
                endsWithConnection: lengthUnknown && context.minorVersion == 0,
                failedRows: failed, undecidedRows: undecided,
                isEventStream: isEventStream && body != .none))
    }

    private func malformed(_ bytes: Span<UInt8>, _ context: ResponseContext) -> Outcome {
        guard !context.loginRows.isEmpty else { return .malformed }
        let failed = failures.rows(ofMalformed: context.loginRows, status: HeadParser.status(of: bytes))
        return failed.isEmpty ? .malformed : .malformedFailedLogin(failed)
    }

    /// Finds out what each field of this head is, and reads the Connection fields, of interim heads too: what they name
    /// goes no further. False: they are no list.
    private mutating func classify(_ bytes: Span<UInt8>) -> Bool {
        connection = ConnectionOptions()
        for index in 0..<fields.count {
            let field = fields[index]
            kinds[index] = ResponseField(bytes.extracting(field.name))
            guard case .connection = kinds[index] else { continue }
            guard connection.take(bytes.extracting(field.value)) else { return false }
        }
        return true
    }

    /// Passes an interim head on; a client of HTTP/1.0 must not get one (RFC 9110 §15.2).
    package func writeInterim(_ bytes: Span<UInt8>, to context: ResponseContext, into out: inout ByteWriter) {
        guard context.minorVersion >= 1 else { return }
        writeStatusLine(bytes, into: &out)
        writeFields(bytes, to: context, status: 100, keepsLength: false, into: &out)
        out.append("\r\n")
    }

    /// Passes a 101 on, with the protocol by the name that the client gave it.
    package func writeSwitch(
        _ bytes: Span<UInt8>, to context: ResponseContext, _ upgrade: Upgrade, requestID: Span<UInt8>,
        into out: inout ByteWriter
    ) {
        writeStatusLine(bytes, into: &out)
        writeFields(bytes, to: context, status: 101, keepsLength: false, into: &out)
        out.append("Via: 1.")
        out.append(bytes[7])
        out.append(via)
        out.append("X-Request-Id: ")
        out.append(requestID)
        if let offer = upgrade.offer, !holds("sec-websocket-protocol", bytes) {
            out.append("\r\nSec-WebSocket-Protocol: ")
            out.append(offer.marker)
        }
        out.append("\r\nConnection: Upgrade\r\nUpgrade: ")
        out.append(upgrade.name)
        out.append("\r\n\r\n")
    }

    /// - Parameter date: an IMF-fixdate, used when the server sent none (RFC 9110 §6.6.1).
    package func writeHead(
        _ response: Response, _ bytes: Span<UInt8>, to context: ResponseContext, keepAlive: Bool, date: Span<UInt8>,
        requestID: Span<UInt8>, into out: inout ByteWriter
    ) {
        writeStatusLine(bytes, into: &out)
        let keepsLength = !response.writesChunks && response.framing != .untilClose
        let hasDate = writeFields(bytes, to: context, status: response.status, keepsLength: keepsLength, into: &out)
        // The version that was received, not the one that is sent (RFC 9110 §7.6.3).
        out.append("Via: 1.")
        out.append(bytes[7])
        out.append(via)
        if !hasDate {
            out.append("Date: ")
            out.append(date)
            out.append("\r\n")
        }
        out.append("X-Request-Id: ")
        out.append(requestID)
        out.append("\r\n")
        if !hardening.isEmpty {
            hardening.write(isSecure: context.isSecure, replacesPage: response.status != 304, into: &out) {
                goesToClient($0, bytes)
            }
        }
        if let rate = context.rate { rate.rule.write(rate.level, into: &out) }
        if context.tokenIsInQuery { out.append("Cache-Control: private\r\n") }
        if response.writesChunks { out.append("Transfer-Encoding: chunked\r\n") }
        if !keepAlive { out.append("Connection: close\r\n") }
        out.append("\r\n")
    }

    /// The server's status line in our version: what a proxy says of HTTP is said for itself (RFC 9112 §2.3).
    private func writeStatusLine(_ bytes: Span<UInt8>, into out: inout ByteWriter) {
        out.append("HTTP/1.1")
        var end = 8
        while end < bytes.count, bytes[end] != 13 { end += 1 }
        out.append(bytes, 8..<end)
        // The space must be there even before an empty reason (RFC 9112 §4); some servers leave it out.
        out.append(end == 12 ? " \r\n" : "\r\n")
    }

    /// Copies the fields that concern the client, in runs between those that are left out. True when one was Date.
    @discardableResult
    private func writeFields(
        _ bytes: Span<UInt8>, to context: ResponseContext, status: Int, keepsLength: Bool, into out: inout ByteWriter
    ) -> Bool {
        guard fields.count > 0 else { return false }
        var hasDate = false
        var run = Int(fields[0].nameStart)
        for index in 0..<fields.count {
            let field = fields[index]
            let name = bytes.extracting(field.name)
            let keep: Bool
            var rewritten: Range<Int>?
            switch kinds[index] {
            case .contentLength:
                // 1xx and 204 must not carry one (RFC 9110 §8.6); for the rest it is what frames the body.
                let isTold = keepsLength && status >= 200 && status != 204
                let shortest = withoutLeadingZeros(field.value, of: bytes)
                keep = isTold && shortest == field.value
                if isTold, !keep { rewritten = shortest }
            case .transferEncoding, .connection, .hopByHop, .requestID: keep = false
            case .date:
                hasDate = true
                keep = true
            case .contentType, .other:
                keep =
                    !connection.namesFields || status == 101 && isOfHandshake(name) || !isNamedByConnection(name, bytes)
            }
            if !keep {
                out.append(bytes, run..<Int(field.nameStart))
                run = Int(field.end)
                if let rewritten {
                    out.append("Content-Length: ")
                    out.append(bytes, rewritten)
                    out.append("\r\n")
                }
            } else if fields.hasSpaceBeforeColon {
                // RFC 9112 §5.1: it must be taken out.
                out.append(bytes, run..<field.name.upperBound)
                run = field.name.upperBound
                while bytes[run] != UInt8(ascii: ":") { run += 1 }
            }
        }
        out.append(bytes, run..<Int(fields[fields.count - 1].end))
        return hasDate
    }

    /// They end the client's handshake, not ours (RFC 6455 §4.2.2): without them no client has a WebSocket, so a Connection
    /// that names them does not remove them.
    private func isOfHandshake(_ name: Span<UInt8>) -> Bool {
        name.count > 14 && name.extracting(0..<14).equalsIgnoringCase("sec-websocket-")
    }

    /// Some programs would take such a number for octal.
    private func withoutLeadingZeros(_ number: Range<Int>, of bytes: Span<UInt8>) -> Range<Int> {
        var start = number.lowerBound
        while start < number.upperBound - 1, bytes[start] == UInt8(ascii: "0") { start += 1 }
        return start..<number.upperBound
    }

    private func goesToClient(_ name: Span<UInt8>, _ bytes: Span<UInt8>) -> Bool {
        if connection.namesFields, isNamedByConnection(name, bytes) { return false }
        return (0..<fields.count).contains { bytes.extracting(fields[$0].name).equalsIgnoringCase(name) }
    }

    /// Whether the head has a field of this name, which must be lower case.
    private func holds(_ name: StaticString, _ bytes: Span<UInt8>) -> Bool {
        (0..<fields.count).contains { bytes.extracting(fields[$0].name).equalsIgnoringCase(name) }
    }

    private func isNamedByConnection(_ name: Span<UInt8>, _ bytes: Span<UInt8>) -> Bool {
        for index in 0..<fields.count {
            let field = fields[index]
            guard case .connection = kinds[index] else { continue }
            if ConnectionOptions.names(bytes.extracting(field.value), field: name) { return true }
        }
        return false
    }
}

/// The fields of a response that the gateway acts on.
private enum ResponseField {
    case contentLength, contentType, transferEncoding, connection, hopByHop, date
    /// Ours to set: one request has one name.
    case requestID
    case other

    init(_ name: Span<UInt8>) {
        self =
            switch name.count {
            case 4 where name.equalsIgnoringCase("date"): .date
            case 2 where name.equalsIgnoringCase("te"): .hopByHop
            case 7 where name.equalsIgnoringCase("trailer"): .hopByHop
            case 7 where name.equalsIgnoringCase("upgrade"): .hopByHop
            case 10 where name.equalsIgnoringCase("connection"): .connection
            case 10 where name.equalsIgnoringCase("keep-alive"): .hopByHop
            case 12 where name.equalsIgnoringCase("content-type"): .contentType
            case 12 where name.equalsIgnoringCase("x-request-id"): .requestID
            case 14 where name.equalsIgnoringCase("content-length"): .contentLength
            case 16 where name.equalsIgnoringCase("proxy-connection"): .hopByHop
            case 17 where name.equalsIgnoringCase("transfer-encoding"): .transferEncoding
            default: .other
            }
    }
}

extension Span<UInt8> {
    /// Whether a Content-Type is of this kind, whatever parameters follow. `kind` must be lower case.
    fileprivate func isMediaType(_ kind: StaticString) -> Bool {
        let length = kind.utf8CodeUnitCount
        guard count >= length, extracting(first: length).equalsIgnoringCase(kind) else { return false }
        return count == length || self[length] == UInt8(ascii: ";") || Characters.isWhitespace(self[length])
    }
}
