import Policy
import Wire

/// The head of a backend's answer, and what becomes of it for the client. The first byte chooses the request that is
/// answered.
package final class ResponseTarget: FuzzTarget {
    package static let name = "response"

    private var reader = ResponseReader(House.rules)
    private var out = ByteWriter(capacity: 1 << 17)

    /// The protocol that a WebSocket's handshake asks for.
    private let upgrade: Upgrade? = {
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: IPAddress(v4: 0xcb00_7109))
        let handshake = Array(
            """
            GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
            """.utf8)
        let verdict = gatekeeper.decide(
            handshake.span, peer: facts.client, now: House.now, wall: House.wall, facts: &facts)
        guard case .forward = verdict else { return nil }
        return gatekeeper.protocolChange
    }()

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        guard let choice = input.first else { return }
        let bytes = Array(input.dropFirst())
        // The second rule looks into the body.
        let rows = LoginRows(rawValue: UInt64(choice & 4 != 0 ? 1 : 0) | UInt64(choice & 32 != 0 ? 2 : 0))
        let context = ResponseContext(
            isHead: choice & 1 != 0, minorVersion: choice & 2 != 0 ? 0 : 1, loginRows: rows,
            isSecure: choice & 8 != 0, upgrade: choice & 16 != 0 ? nil : upgrade)
        var end = bytes.count
        var isUnderstood = false
        switch reader.parse(bytes.span, to: context) {
        case .incomplete, .malformed: break
        case .malformedFailedLogin:
            try require(!context.loginRows.isEmpty, "only an answer to a login is a failed login")
        case .switching(let length):
            end = length
            isUnderstood = true
            try checkSwitch(bytes, context)
        case .interim(_, let length):
            end = length
            isUnderstood = true
            out.reset()
            reader.writeInterim(bytes.span, to: context, into: &out)
            try checkInterim(out.unownedBytes.array, bytes, context)
        case .final(let response):
            end = response.headLength
            isUnderstood = true
            try checkFinal(response, bytes, context)
            try checkBody(response, bytes, context)
        }
        try checkPieces(of: bytes, end, isUnderstood, context)
    }

    private func checkPieces(
        of bytes: [UInt8], _ end: Int, _ isUnderstood: Bool, _ context: ResponseContext
    ) throws(Finding) {
        try require(end <= bytes.count, "a head is no longer than what was sent")
        guard isUnderstood, end > 0 else { return }
        let checksum = bytes.checksum
        for cut in [Int(checksum % UInt64(end)), end - 1] {
            guard case .incomplete = reader.parse(Array(bytes[..<cut]).span, to: context) else {
                throw Finding("a head that is understood was not wrong before it was whole")
            }
        }
        switch reader.parse(Array(bytes[..<end]).span, to: context) {
        case .interim(_, let length): try require(length == end, "a head ends where it ends")
        case .final(let response): try require(response.headLength == end, "a head ends where it ends")
        case .switching(let length): try require(length == end, "a head ends where it ends")
        case .incomplete, .malformed, .malformedFailedLogin:
            throw Finding("what follows a head does not change how it is read")
        }
    }

    private func checkInterim(_ sent: [UInt8], _ bytes: [UInt8], _ context: ResponseContext) throws(Finding) {
        guard context.minorVersion >= 1 else {
            try require(sent.isEmpty, "HTTP/1.0 knows no interim answers")
            return
        }
        let head = try PlainHead(sent, .response)
        try require(head.length == sent.count, "an interim answer is one head")
        try require(head.startLine.starts(with: Array("HTTP/1.1 1".utf8)), "an interim answer is below 200")
        try require(try head.framing() == .nothing, "an interim answer has no body")
    }

    private func checkSwitch(_ bytes: [UInt8], _ context: ResponseContext) throws(Finding) {
        guard let upgrade = context.upgrade else {
            throw Finding("nobody may change to a protocol that was not asked for")
        }
        let requestID = Array("0123456789abcdef0123456789abcdef".utf8)
        out.reset()
        reader.writeSwitch(bytes.span, to: context, upgrade, requestID: requestID.span, into: &out)
        let sent = out.unownedBytes.array
        let head = try PlainHead(sent, .response)
        try require(head.length == sent.count, "a change of protocols is one head")
        try require(head.startLine.starts(with: Array("HTTP/1.1 101 ".utf8)), "a change of protocols is a 101")
        try require(try head.framing() == .nothing, "a change of protocols has no body")
        try require(
            head.count("connection") == 1 && head.count("upgrade") == 1 && head.value("upgrade") == upgrade.name,
            "both sides change to one protocol")
        // RFC 6455 §1.3 has the proof for this key.
        try require(head.text("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the server has read the key")
        // With ours it may have more fields than are read.
        guard head.fields.count <= House.rules.fieldLimit else { return }
        guard case .switching = reader.parse(sent.span, to: context) else {
            throw Finding("what is sent is the change of protocols that was read")
        }
    }

    private func checkFinal(_ response: Response, _ bytes: [UInt8], _ context: ResponseContext) throws(Finding) {
        let keepAlive = !response.endsWithConnection
        let date = House.date
        let requestID = Array("0123456789abcdef0123456789abcdef".utf8)
        out.reset()
        reader.writeHead(
            response, bytes.span, to: context, keepAlive: keepAlive, date: date.span, requestID: requestID.span,
            into: &out)
        try require(!out.overflowed, "a head has room")
        let sent = out.unownedBytes.array
        let head = try PlainHead(sent, .response)
        try require(head.length == sent.count, "an answer is one head")
        try require(
            head.startLine.starts(with: Array("HTTP/1.1 \(response.status) ".utf8)), "an answer keeps its status")
        try checkFraming(try head.framing(), response, context)
        try require(head.count("x-request-id") == 1 && head.count("via") >= 1, "an answer names its request and us")
        for name in ["keep-alive", "te", "trailer", "upgrade", "proxy-connection"] {
            try require(head.count(name) == 0, "what is for one hop goes no further")
        }
        try require(
            head.count("connection") == (keepAlive ? 0 : 1), "the client learns of its own connection, once")
        try checkAgain(sent, response, context)
    }

    /// Whether a login failed hangs on its answer alone, not on how much of that came when.
    private func checkBody(_ response: Response, _ bytes: [UInt8], _ context: ResponseContext) throws(Finding) {
        guard !response.undecidedRows.isEmpty else { return }
        let whole = verdict(bytes, context)
        let body = bytes.count - response.headLength
        for cut in [Int(bytes.checksum % UInt64(body + 1)), max(0, body - 1)] {
            let early = verdict(Array(bytes[..<(response.headLength + cut)]), context)
            // Chunks may turn out to be none behind what was read.
            try require(
                early == "more" || early == whole || whole == "malformed", "a verdict that was given stands")
        }
        guard whole == "more" else { return }
        try require(
            response.framing != .untilClose || verdict(bytes, context, ended: true) != "more",
            "an answer that ends with its connection is whole then")
    }

    /// Of an answer whose head is one that was read before.
    private func verdict(_ bytes: [UInt8], _ context: ResponseContext, ended: Bool = false) -> String {
        guard case .final(let response) = reader.parse(bytes.span, to: context) else { return "another head" }
        return switch reader.rows(ofBody: response, bytes.span, ended: ended) {
        case .more: "more"
        case .malformed: "malformed"
        case .failedRows(let rows): "failed by \(rows.rawValue)"
        }
    }

    private func checkFraming(
        _ framing: PlainHead.Framing, _ response: Response, _ context: ResponseContext
    ) throws(Finding) {
        let status = response.status
        let hasNoBody = context.isHead || status < 200 || status == 204 || status == 304
        switch (framing, response.framing) {
        case (.chunked, .chunked), (.chunked, .untilClose):
            try require(response.writesChunks, "chunks are written where they are announced")
        case (.length(let told), .length(let length)):
            try require(told == length, "the client is told of the body that is relayed")
        case (.length(0), .none): break
        case (.length, .none), (.nothing, .none):
            try require(hasNoBody, "only what has no body may say less or more than the truth")
        case (.nothing, .chunked), (.nothing, .untilClose):
            try require(response.endsWithConnection, "what is not framed ends with the connection")
        default: throw Finding("the client is told of the body that is relayed")
        }
        try require(!(hasNoBody && response.framing != .none), "no body is relayed where none may be")
        try require(!(response.writesChunks && response.endsWithConnection), "a body has one end")
    }

    /// What was written is understood by ourselves as the very same answer.
    private func checkAgain(_ sent: [UInt8], _ response: Response, _ context: ResponseContext) throws(Finding) {
        switch reader.parse(sent.span, to: context) {
        case .final(let again):
            try require(again.status == response.status, "what is sent has the status that was read")
            let framing: BodyFraming = response.writesChunks ? .chunked : response.framing
            try require(
                again.framing == framing || response.endsWithConnection && again.framing == .untilClose,
                "what is sent is framed as it is relayed")
        case .malformed, .malformedFailedLogin:
            // Our fields came on top of as many as are allowed.
            let limits = House.rules.headLimits
            try require(
                sent.count > limits.headBytes || sent.split(separator: 10).count > House.rules.fieldLimit,
                "what is sent is nothing that we refuse")
        case .interim, .switching, .incomplete: throw Finding("what is sent is one final head")
        }
    }
}
