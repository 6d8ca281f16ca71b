internal import Policy
internal import Wire

/// Whom the admin server talks to.
enum AdminPeer: Hashable, Sendable {
    /// On the Unix socket, which only its owner (and root) can open: the kernel says who.
    case local(user: UInt32)
    case network
}

/// One request to the admin server, copied out of the connection's buffer.
struct AdminRequest: Hashable, Sendable {
    var method: String
    /// As it was sent, without the query.
    var path: String
    /// The query's members, decoded.
    var query: [String: String] = [:]
    /// The value of Authorization.
    var authorization: [UInt8]?
    /// Who the caller says to be (`X-Actor`): written down, never believed.
    var claimedActor: String?
    var keepAlive = true
    var body: [UInt8] = []

    var isHead: Bool { method == "HEAD" }
}

/// Finds a request at the beginning of what a connection has received.
enum AdminRequestReader {
    enum Outcome: Equatable {
        case incomplete
        case complete(AdminRequest, consumed: Int)
        /// The connection is closed behind the answer, since nobody knows where the next request begins.
        case refused(AdminProblem)
    }

    static let headLimit = 8 << 10
    static let bodyLimit = 64 << 10
    /// Room for a body in chunks; more than that is chunk heads, not body.
    static let inputLimit = headLimit + 2 * bodyLimit
    static let fieldLimit = 64

    static func read(_ bytes: Span<UInt8>, into fields: inout FieldTable) -> Outcome {
        let limits = HeadParser.Limits(headBytes: headLimit, targetBytes: 2 << 10)
        switch HeadParser.parseRequest(bytes, into: &fields, limits: limits) {
        case .incomplete: return .incomplete
        case .malformed(let fault): return .refused(problem(of: fault))
        case .complete(let line, let length):
            do {
                var (request, framing) = try head(bytes, line, fields)
                return try body(bytes, from: length, framing, &request)
            } catch {
                return .refused(error)
            }
        }
    }

    private static func problem(of fault: HeadFault) -> AdminProblem {
        switch fault {
        case .tooLong, .tooManyFields, .targetTooLong: .tooLarge(fault.rawValue)
        case .version: AdminProblem(505, .unsupported, "The HTTP version is not supported", "HTTP/1.1 is spoken here")
        default: .malformed(fault.rawValue)
        }
    }

    private static func head(
        _ bytes: Span<UInt8>, _ line: RequestLine, _ fields: borrowing FieldTable
    ) throws(AdminProblem) -> (AdminRequest, BodyFraming) {
        let target: RequestTarget
        switch RequestTarget.parse(bytes, target: line.target, method: line.method) {
        case .target(let found): target = found
        case .connect: throw AdminProblem(501, .unsupported, "The method is not supported", "CONNECT")
        case .malformed(let fault): throw .malformed(fault.rawValue)
        }
        var request = AdminRequest(
            method: bytes.extracting(line.method).text, path: bytes.extracting(target.path).text)
        request.query = try query(target.query.map { bytes.extracting($0).text })
        var framing = FramingFields()
        var connection = ConnectionOptions()
        var hosts = 0
        for index in 0..<fields.count {
            let field = fields[index]
            let name = bytes.extracting(field.name)
            let value = bytes.extracting(field.value)
            if name.equalsIgnoringCase("content-length") {
                framing.contentLength(value)
            } else if name.equalsIgnoringCase("transfer-encoding") {
                framing.transferEncoding(value)
            } else if name.equalsIgnoringCase("connection") {
                guard connection.take(value) else { throw .malformed("Connection is no list of options") }
            } else if name.equalsIgnoringCase("host") {
                hosts += 1
            } else if name.equalsIgnoringCase("authorization") {
                guard request.authorization == nil else { throw .malformed("Authorization stands twice") }
                request.authorization = value.bytes
            } else if name.equalsIgnoringCase("x-actor") {
                request.claimedActor = value.text
            } else if name.equalsIgnoringCase("expect") {
                throw AdminProblem(417, .unsupported, "The expectation cannot be met", "send the body at once")
            }
        }
        // RFC 9112 §3.2: exactly one, except that HTTP/1.0 knows none.
        guard hosts == 1 || (hosts == 0 && line.minorVersion == 0) else {
            throw .malformed(hosts == 0 ? "Host is missing" : "Host stands twice")
        }
        request.keepAlive = line.minorVersion >= 1 && !connection.closes
        switch framing.settleRequest(minorVersion: line.minorVersion) {
        case .success(let framing): return (request, framing)
        case .failure(let fault): throw .malformed(fault.rawValue)
        }
    }

    private static func body(
        _ bytes: Span<UInt8>, from start: Int, _ framing: BodyFraming, _ request: inout AdminRequest
    ) throws(AdminProblem) -> Outcome {
        let tooLarge = AdminProblem.tooLarge("a body may have \(bodyLimit) bytes")
        if case .length(let length) = framing, length > Int64(bodyLimit) { throw tooLarge }
        var reader = BodyReader(framing)
        var position = start
        while true {
            switch reader.read(bytes, from: position) {
            case .data(let range):
                guard request.body.count + range.count <= bodyLimit else { throw tooLarge }
                request.body += bytes.extracting(range).bytes
                position = range.upperBound
            case .needMore: return .incomplete
            case .end(let next): return .complete(request, consumed: next)
            case .malformed: throw .malformed("the framing of the body is malformed")
            }
        }
    }

    private static func query(_ text: String?) throws(AdminProblem) -> [String: String] {
        var result: [String: String] = [:]
        for pair in (text ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(parts[0]), let value = percentDecoded(parts.count > 1 ? parts[1] : "")
            else { throw .malformed("the query is malformed") }
            guard result.updateValue(value, forKey: name) == nil else {
                throw .malformed("\(name) stands twice in the query")
            }
        }
        return result
    }

    /// Nil for a malformed escape, or when the result is not UTF-8.
    static func percentDecoded(_ text: some StringProtocol) -> String? {
        var result: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = bytes.next().flatMap(hexDigit), let low = bytes.next().flatMap(hexDigit) else {
                return nil
            }
            result.append(high << 4 | low)
        }
        return String(validating: result, as: UTF8.self)
    }
}

extension Span<UInt8> {
    /// A copy.
    fileprivate var bytes: [UInt8] { withUnsafeBufferPointer { Array($0) } }
}
