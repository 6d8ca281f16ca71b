@testable import Policy
@testable import Wire

/// What a reader made of the bytes of one connection.
struct Reading {
    /// One request that was read whole.
    struct Request {
        var method = ""
        var target = ""
        var fields: [Field] = []
        var body: [UInt8] = []
        /// Offset behind its last byte.
        var end = 0
        /// Of ours: what the backend would get; nil where the gateway answers by itself.
        var passedOn: [UInt8]?
    }

    struct Field: Equatable {
        let name: String
        let value: String
    }

    enum Ending {
        /// Every byte was used.
        case complete
        /// What is left is the beginning of a head.
        case waitingForHead
        /// A head was passed on, and the rest of its body is missing.
        case waitingForBody(Request)
        /// Nothing behind the last request is read: it asked for that.
        case closed
        /// With the reader's word for the fault.
        case refused(String)
    }

    var requests: [Request] = []
    var ending = Ending.complete

    var isInBody: Bool { if case .waitingForBody = ending { true } else { false } }
    /// As far as the bytes go: everything was read, and another request may come.
    var isBetween: Bool { if case .waitingForHead = ending { true } else { false } }
}

/// Reads as the gateway does: the stages of the Gatekeeper, then the body. Keeps one gatekeeper for all connections, as a
/// worker does.
final class OurReader {
    private let gatekeeper = House.gatekeeper()
    private var facts = RequestFacts(client: House.client)

    func read(_ sent: [UInt8]) -> Reading {
        var reading = Reading()
        var offset = 0
        while offset < sent.count {
            let rest = sent.span.extracting(offset..<sent.count)
            let verdict = gatekeeper.decide(
                rest, peer: House.client, now: House.now, wall: Mint.now, facts: &facts)
            switch verdict {
            case .incomplete:
                // Empty lines before a request that never comes are nothing.
                reading.ending = sent[offset...].allSatisfy { $0 == 13 || $0 == 10 } ? .complete : .waitingForHead
                return reading
            case .refuse(let refusal):
                reading.ending = .refused("\(refusal.status) \(refusal.title)")
                return reading
            case .answer, .introspect, .forward: break
            }
            var request = Reading.Request(
                method: text(rest, facts.method), target: text(rest, gatekeeper.head.line.target))
            for index in 0..<gatekeeper.fields.count {
                let field = gatekeeper.fields[index]
                request.fields.append(.init(name: text(rest, field.name), value: text(rest, field.value)))
            }
            var out = ByteWriter(capacity: 131_072)
            if case .forward(let plan) = verdict {
                let trace = RequestTrace()
                gatekeeper.name(trace, rest, peer: House.client)
                gatekeeper.prepare(plan, facts, rest, trace, peer: House.client, into: &out)
            }
            switch body(facts, rest, into: &request) {
            case .end(let next): offset += next
            case .malformed:
                reading.ending = .refused("400 \(Refusal.malformedBody.title)")
                return reading
            case .data, .needMore:
                reading.ending = .waitingForBody(request)
                return reading
            }
            request.end = offset
            if case .forward = verdict {
                request.passedOn = out.bytes.withUnsafeBufferPointer { Array($0) } + framed(request.body, facts.framing)
            }
            reading.requests.append(request)
            if !facts.keepAlive {
                reading.ending = .closed
                return reading
            }
        }
        return reading
    }

    private func body(
        _ facts: RequestFacts, _ bytes: Span<UInt8>, into request: inout Reading.Request
    ) -> BodyReader.Piece {
        var reader = BodyReader(facts.framing)
        var position = facts.headLength
        while true {
            let piece = reader.read(bytes, from: position)
            guard case .data(let range) = piece else { return piece }
            for index in range { request.body.append(bytes[index]) }
            position = range.upperBound
        }
    }

    /// The body as the backend gets it: chunks are made anew, without extensions and trailers.
    private func framed(_ body: [UInt8], _ framing: BodyFraming) -> [UInt8] {
        guard framing == .chunked else { return body }
        let chunk = body.isEmpty ? [] : Array("\(String(body.count, radix: 16))\r\n".utf8) + body + [13, 10]
        return chunk + Array("0\r\n\r\n".utf8)
    }

    private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}
