internal import Settings
package import Wire

extension Gatekeeper {
    /// Writes that the request may pass, with what its backend is to be told of the client.
    package func writeAllowance(
        _ check: Check, requestID: Span<UInt8>, date: Span<UInt8>, keepAlive: Bool, into out: inout ByteWriter
    ) {
        out.append("HTTP/1.1 200 OK\r\nDate: ")
        out.append(date)
        out.append("\r\nCache-Control: no-store\r\nContent-Length: 0\r\nX-Request-Id: ")
        out.append(requestID)
        out.append("\r\n")
        if let identity { out.append(identity.identityFields) }
        if check.dialect == .envoy { writeRemovals(into: &out) }
        if !keepAlive { out.append("Connection: close\r\n") }
        out.append("\r\n")
    }

    /// Envoy leaves a field of the client alone where the answer has none of its name. It takes out what it is told to.
    private func writeRemovals(into out: inout ByteWriter) {
        var isFirst = true
        for header in rules.configuration.identityHeaders where !isTold(header.name) {
            out.append(isFirst ? "X-Envoy-Auth-Headers-To-Remove: " : ",")
            out.append(text: header.name)
            isFirst = false
        }
        if !isFirst { out.append("\r\n") }
    }

    /// Whether the answer says it. Its fields end in CR LF, and no value holds one.
    private func isTold(_ name: String) -> Bool {
        guard let fields = identity?.identityFields else { return false }
        let start = Array("\(name): ".utf8)
        return fields.split(separator: 10).contains { $0.starts(with: start) }
    }
}

/// Answers for nginx.
package enum AnswerForNginx {
    /// The answer as auth_request understands it: 401 stays, any other refusal is a 403, since nginx would make a 500
    /// of it. Fields hold what nginx drops, the status and the body, for its `error_page`.
    package static func text(_ answer: Span<UInt8>) -> [UInt8] {
        let bytes = answer.withUnsafeBufferPointer { Array($0) }
        let status = Array(bytes[9..<12])
        guard status[0] != UInt8(ascii: "2"), let head = headLength(bytes),
            let firstLine = bytes.firstIndex(of: 10)
        else { return bytes }
        var text = Array(
            (status == Array("401".utf8) ? "HTTP/1.1 401 Unauthorized\r\n" : "HTTP/1.1 403 Forbidden\r\n").utf8)
        text += Array("X-Auth-Status: ".utf8) + status + [13, 10]
        // The body is one line.
        let body = bytes[head...].prefix { $0 != 10 }
        if !body.isEmpty { text += Array("X-Auth-Problem: ".utf8) + body + [13, 10] }
        return text + bytes[(firstLine + 1)...]
    }

    /// With the empty line.
    private static func headLength(_ bytes: [UInt8]) -> Int? {
        for index in bytes.indices.dropFirst(3)
        where bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10 { return index + 1 }
        return nil
    }
}
