internal import Settings
internal import Wire

/// What `read` found out about a head, beside `RequestFacts`, for the stages behind it. Nothing in it is counted: it is
/// forgotten with every request.
struct HeadNotes {
    var line = RequestLine(method: 0..<0, target: 0..<0, minorVersion: 1, end: 0)
    var form = RequestTarget.Form.origin
    /// Of the target; see `pathIsRewritten`.
    var path = 0..<0
    /// With its question mark; empty when there is none.
    var query = 0..<0
    var pathIsRewritten = false
    /// A preflight's Access-Control-Request-Method: it is routed as the request that will follow.
    var requestedMethod: Range<Int>?
    var isPreflight: Bool { requestedMethod != nil }
    /// The Host field is made from the target, or from nothing; what the client sent does not go on.
    var writesHost = false
    /// Content-Length has leading zeros or white space behind it, and goes on without.
    var writesLength = false
    /// Set when the method is not allowed.
    var allow: AllowedMethods?
    /// What the Connection fields ask for.
    var connection = ConnectionOptions()
    /// Of HTTP/1.1; one of HTTP/1.0 is to be ignored (RFC 9110 §10.1.1), and forwarded would be an expectation of ours.
    var expectation = Expectation.absent
    var forwardedForCount = 0
    /// Of OPTIONS: how many more proxies it may pass behind this one; below 0, it ends here. Nil: not said.
    var hopsLeft: Int?
    var hasForwardedProto = false
    var upgrade = SingleField.absent
    /// Set with the Gatekeeper's `identity`: it came in the route's cookie, which browsers send without being asked.
    var tokenIsFromCookie = false
    /// The parameter with the token, and what of the query goes with it.
    var queryCut: Range<Int>?
    /// The token among subprotocols, and their list.
    var subprotocols: (token: Range<Int>, list: Range<Int>)?
    var traceparent = SingleField.absent
    /// The client's traceparent was valid; its tracestate goes on with it.
    var continuesTrace = false
    var requestID = SingleField.absent
    /// Set with the Gatekeeper's `identity`: the token has expired, and is good for so long after its end; 0: it has not.
    var grace = Interval.zero
    /// It was to be refused, and goes on by break-glass.
    var glass: BreakGlassPass?
    var passage = Passage.ours
}

/// What Allow says.
enum AllowedMethods {
    /// Of the routes at this place.
    case place(Int)
    /// GET and HEAD.
    case reading
}

/// Where a field stands that means something only when it is there once.
enum SingleField {
    /// → `at`
    case absent
    /// Its index in the field table. → `repeated`
    case at(Int)
    case repeated

    mutating func note(_ index: Int) {
        if case .absent = self { self = .at(index) } else { self = .repeated }
    }
}

/// How much of a head is there.
enum HeadExtent { case beginning, whole }

extension Gatekeeper {
    /// Stage *read*: the head is complete and there is one way to understand it. False: more bytes are needed.
    func read(_ bytes: Span<UInt8>, _ facts: inout RequestFacts) throws(Refusal) -> Bool {
        switch HeadParser.parseRequest(bytes, into: &fields, limits: rules.headLimits) {
        case .malformed(let fault):
            facts.isHead = Methods.beginsAsHead(bytes)
            throw Refusal(fault)
        case .complete(let line, let length):
            facts.headLength = length
            try readHead(bytes, line, .whole, &facts)
            return true
        case .incomplete:
            // A fault in what is there cannot be mended by what follows: it is answered now, and not after the time that
            // a head may take.
            if case .complete(let line, _) = HeadParser.requestLine(bytes, limits: rules.headLimits) {
                try readHead(bytes, line, .beginning, &facts)
            }
            return false
        }
    }

    private func readHead(
        _ bytes: Span<UInt8>, _ line: RequestLine, _ extent: HeadExtent, _ facts: inout RequestFacts
    ) throws(Refusal) {
        facts.method = line.method
        facts.path = line.target
        facts.minorVersion = line.minorVersion
        head.line = line
        facts.isHead = bytes.extracting(line.method).equals("HEAD")
        guard Methods.isSupported(bytes.extracting(line.method)) else { throw .methodNotSupported }
        let framing = try readFields(bytes, line, extent, &facts)
        try readTarget(bytes, line, extent, &facts)
        switch framing.settleRequest(minorVersion: line.minorVersion) {
        case .success(let settled): facts.framing = settled
        case .failure(.unknownCoding): throw .codingNotSupported
        case .failure: throw .malformed
        }
        if case .length(let length) = facts.framing, rules.configuration.limits.bodyBytes > 0,
            length > Int64(rules.configuration.limits.bodyBytes)
        {
            throw .bodyTooLarge
        }
    }

    private func readFields(
        _ bytes: Span<UInt8>, _ line: RequestLine, _ extent: HeadExtent, _ facts: inout RequestFacts
    ) throws(Refusal) -> FramingFields {
        var framing = FramingFields()
        var hosts = 0
        var requestedMethod: Range<Int>?
        var requestedMethods = 0
        var maxForwards = SingleField.absent
        let classifier = rules.classifier
        for index in 0..<fields.count {
            let field = fields[index]
            let kind = classifier.classify(field, in: bytes)
            classes[index] = kind
            switch kind {
            case .endToEnd: continue
            case .host:
                hosts += 1
                facts.host = field.value
            case .contentLength:
                framing.contentLength(bytes.extracting(field.value))
                if field.value.count > 1, bytes[field.value.lowerBound] == UInt8(ascii: "0") {
                    head.writesLength = true
                }
                // Some parsers stop at a tab behind the number (llhttp does), and a backend need not be asked.
                if Int(field.end) - field.value.upperBound > 2 { head.writesLength = true }
            case .transferEncoding: framing.transferEncoding(bytes.extracting(field.value))
            case .connection:
                guard head.connection.take(bytes.extracting(field.value)) else { throw .malformed }
            case .maxForwards: maxForwards.note(index)
            case .expect where line.minorVersion == 0: continue
            case .expect:
                guard head.expectation.take(bytes.extracting(field.value), at: index) else {
                    throw .expectationFailed
                }
            case .xForwardedFor: head.forwardedForCount += 1
            case .xForwardedProto: head.hasForwardedProto = true
            case .upgrade: head.upgrade.note(index)
            case .traceparent: head.traceparent.note(index)
            case .requestID: head.requestID.note(index)
            case .userAgent: facts.userAgent = field.value
            case .origin: facts.origin = field.value
            case .accessControlRequestMethod:
                requestedMethod = field.value
                requestedMethods += 1
            default: continue
            }
        }
        // RFC 9112 §3.2: exactly one, except that HTTP/1.0 knows none.
        guard hosts == 1 || (hosts == 0 && (line.minorVersion == 0 || extent == .beginning)) else { throw .malformed }
        head.writesHost = hosts == 0
        facts.expectsContinue = head.expectation.isThere
        facts.keepAlive = line.minorVersion >= 1 && !head.connection.closes
        try readMaxForwards(bytes, maxForwards)
        // Two requested methods are what no browser sends: one would be routed and the other obeyed.
        if !facts.origin.isEmpty, requestedMethods == 1, bytes.extracting(line.method).equals("OPTIONS") {
            head.requestedMethod = requestedMethod
        }
        return framing
    }

    /// RFC 9110 §7.6.2: of OPTIONS (and TRACE, which goes no further anyway) it must be obeyed, so it must be understood;
    /// of other methods it may be ignored, and goes on as it came.
    private func readMaxForwards(_ bytes: Span<UInt8>, _ field: SingleField) throws(Refusal) {
        if case .absent = field { return }
        guard bytes.extracting(head.line.method).equals("OPTIONS") else { return }
        switch field {
        case .absent: return
        case .repeated: throw .malformed
        case .at(let index):
            let value = bytes.extracting(fields[index].value)
            guard !value.isEmpty else { throw .malformed }
            var number = 0
            for index in value.indices {
                guard Characters.isDigit(value[index]) else { throw .malformed }
                number = min(number * 10 + Int(value[index] - 48), Gatekeeper.mostHops)
            }
            head.hopsLeft = number - 1
        }
    }

    /// "The recipient's maximum supported value" of RFC 9110 §7.6.2.
    private static let mostHops = 1_000_000

    private func readTarget(
        _ bytes: Span<UInt8>, _ line: RequestLine, _ extent: HeadExtent, _ facts: inout RequestFacts
    ) throws(Refusal) {
        switch RequestTarget.parse(bytes, target: line.target, method: line.method) {
        case .connect: throw .methodNotSupported
        case .malformed: throw .malformed
        case .target(let target):
            facts.authority = facts.host
            let host = facts.host.isEmpty ? nil : knownHost.name(bytes, facts.host)
            if !facts.host.isEmpty, host == nil { throw .malformed }
            if let authority = target.authority {
                // RFC 9110 §7.4: what belongs on a secured connection is served to a trusted gateway at most.
                if case .https = target.scheme, !facts.isSecure {
                    guard rules.trusted.contains(facts.client) else { throw .misdirected }
                    facts.isSecure = true
                }
                // RFC 9112 §3.2.2: whatever Host says. With the port, which ends where the path begins.
                facts.host = authority.host
                facts.authority = authority.host.lowerBound..<target.path.lowerBound
                head.writesHost = true
            } else if let host {
                facts.host = host
            } else if line.minorVersion >= 1, extent == .whole {
                throw .malformed
            }
            head.form = target.form
            head.path = target.path
            head.query = target.query.map { $0.lowerBound - 1..<$0.upperBound } ?? 0..<0
            facts.path = target.path
            if case .asterisk = target.form { return }
            var hasLetters = false
            let scan = CanonicalPath.scan(bytes.extracting(target.path), beyondASCII: &hasLetters)
            // Nearly every path; handed on, the facts would be copied.
            if case .canonical = scan, !hasLetters { return }
            try canonicalise(scan, bytes, extent, facts)
            if hasLetters, extent == .whole { try admitLetters(bytes, facts) }
        }
    }
}

extension Refusal {
    /// The answer to each fault of a head.
    init(_ fault: HeadFault) {
        self =
            switch fault {
            case .tooLong, .tooManyFields: .headTooLarge
            case .targetTooLong: .targetTooLong
            case .version: .versionNotSupported
            // RFC 9112 §3: longer than any that is implemented.
            case .method: .methodNotSupported
            case .startLine, .lineEnding, .controlByte, .fieldName, .whitespaceBeforeColon, .lineFolding,
                .fieldWithoutColon:
                .malformed
            }
    }
}
