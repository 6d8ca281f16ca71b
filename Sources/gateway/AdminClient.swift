internal import GatewayCore
internal import Glibc
internal import Wire

/// Asks the running gateway over its admin socket: one request, one answer, waiting at most `patience`.
struct AdminClient {
    static let patience = Interval.seconds(5)
    /// A configuration waits for the names of its servers, and the gateway gives up the answer after 30 s.
    static let patienceWithReload = Interval.seconds(35)
    /// For an upgrade, whose limit (`timeouts.upgrade`) may be 300 s: the gateway itself says when it is over.
    static let patienceWithUpgrade = Interval.seconds(320)
    /// Ten thousand blocks with long reasons are far below.
    private static let largestAnswer = 64 << 20

    let path: String
    /// Who the person at the terminal is by name; the socket proves only the user's number.
    var actor: String?
    var patience = AdminClient.patience

    struct Answer {
        var status: Int
        var body: [UInt8]
        var isSuccess: Bool { (200..<300).contains(status) }
    }

    func send(_ method: String, _ target: String, body: JSONValue? = nil) throws(CommandFailure) -> Answer {
        let content = body?.bytes ?? []
        var head = "\(method) \(target) HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
        if let actor { head += "X-Actor: \(actor)\r\n" }
        if body != nil { head += "Content-Type: application/json\r\nContent-Length: \(content.count)\r\n" }
        return try parse(try exchange(Array((head + "\r\n").utf8) + content))
    }

    // MARK: The socket

    private func exchange(_ request: [UInt8]) throws(CommandFailure) -> [UInt8] {
        let deadline = Instant.now() + patience
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CommandFailure(.system, "no socket: \(text(errno))") }
        defer { close(descriptor) }
        limitWaiting(descriptor)
        try connect(descriptor)
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, request.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw unreachable(text(errno)) }
            sent += count
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreachable(errno == EAGAIN ? "it does not answer" : text(errno)) }
            if count == 0 { return answer }
            answer += chunk[..<count]
            guard answer.count <= AdminClient.largestAnswer, Instant.now() < deadline else {
                throw unreachable("its answer does not end")
            }
        }
    }

    private func limitWaiting(_ descriptor: Int32) {
        var time = timeval(tv_sec: Int(patience.seconds), tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private func connect(_ descriptor: Int32) throws(CommandFailure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        // One byte stays zero: the end of the name.
        guard !name.isEmpty, name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw CommandFailure(.usage, "the path of a socket has 1 to 107 bytes: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            if errno == EACCES { throw unreachable("\(text(errno)); call it as the gateway's user or as root") }
            throw unreachable(text(errno))
        }
    }

    private func unreachable(_ reason: String) -> CommandFailure {
        CommandFailure(
            .unreachable,
            "no gateway can be reached on \(path): \(reason)\nif one is running, name its admin socket with --socket "
                + "PATH, as \"admin_socket\" in the gateway.ready line of its log")
    }

    private func text(_ code: Int32) -> String { String(cString: strerror(code)) }

    // MARK: The answer

    private func parse(_ bytes: [UInt8]) throws(CommandFailure) -> Answer {
        var fields = FieldTable(capacity: 32)
        let limits = HeadParser.Limits(headBytes: 16 << 10, targetBytes: 1 << 10)
        guard case .complete(let line, let length) = HeadParser.parseResponse(bytes.span, into: &fields, limits: limits)
        else { throw unreachable("what answers there is no gateway") }
        var framing = FramingFields()
        for index in 0..<fields.count
        where bytes.span.extracting(fields[index].name).equalsIgnoringCase("content-length") {
            framing.contentLength(bytes.span.extracting(fields[index].value))
        }
        let body = Array(bytes[length...])
        switch framing.settleResponse(status: line.status, toHead: false, minorVersion: line.minorVersion) {
        case .success(.none) where body.isEmpty: break
        case .success(.length(Int64(body.count))): break
        default: throw unreachable("its answer was cut off")
        }
        return Answer(status: line.status, body: body)
    }
}
