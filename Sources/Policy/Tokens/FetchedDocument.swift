package import Settings
package import Wire

/// A document that was fetched, and how long it holds.
package struct FetchedDocument: Equatable, Sendable {
    package let bytes: [UInt8]
    /// `max-age` less `Age` (RFC 9111 §4.2); zero where the answer must not be kept; nil: it does not say.
    package let lifetime: Interval?
}

/// The answer of whoever was asked for keys or metadata, as it comes in pieces. As strict as the path of requests: what two
/// readers could understand in two ways gives no keys. Redirects are not followed: a key set is where it was said to be.
package final class FetchedAnswer {
    package enum Verdict: Equatable, Sendable {
        case incomplete
        case document(FetchedDocument)
        /// In words for the operator.
        case refused(String)
    }

    /// What the answer may call itself.
    package enum Kind: Sendable {
        case json
        /// Whoever reads it finds out.
        case anything
        /// That it is one of success is all: the body is not waited for.
        case acknowledgement
    }

    /// Of the body: a thousand keys have some hundred of them.
    package static let maximumBytes = 1 << 20
    private static let limits = HeadParser.Limits(headBytes: 32 * 1_024, targetBytes: 8 * 1_024)
    private static let interimLimit = 16
    private static let pieceLimit = 256

    private let maximumBytes: Int
    private let kind: Kind
    private var head: [UInt8] = []
    private var interims = 0
    private var pieces = 0
    private var body: [UInt8] = []
    private var lifetime: Interval?
    /// Nil until the head was understood.
    private var reader: BodyReader?
    private var fields = FieldTable(capacity: 100)

    /// Whether what was refused is the server's considered word, and not a sign that it is in trouble.
    package private(set) var isAnswer = false
    /// Whether it says that it was asked too much.
    package private(set) var isRationed = false

    /// - Parameter maximumBytes: of the body.
    package init(maximumBytes: Int = FetchedAnswer.maximumBytes, kind: Kind = .json) {
        self.maximumBytes = maximumBytes
        self.kind = kind
    }

    package func take(_ more: Span<UInt8>) -> Verdict {
        if reader != nil { return read(more) }
        // Each time the head is read from its beginning: who sends it byte by byte must not keep the thread busy.
        pieces += 1
        guard pieces <= Self.pieceLimit else { return .refused("the head of the answer comes in too many pieces") }
        more.withUnsafeBufferPointer { head.append(contentsOf: $0) }
        while true {
            let bytes = head
            switch HeadParser.parseResponse(bytes.span, into: &fields, limits: Self.limits) {
            case .incomplete: return .incomplete
            case .malformed(let fault): return .refused("a malformed answer: \(fault.rawValue)")
            case .complete(let line, let length):
                guard line.status >= 200 || line.status == 101 else {
                    interims += 1
                    guard interims <= Self.interimLimit else { return .refused("too many interim answers") }
                    head.removeFirst(length)
                    continue
                }
                if let problem = understand(line, bytes.span) { return .refused(problem) }
                if kind == .acknowledgement { return finished }
                let rest = Array(bytes[length...])
                head = []
                return read(rest.span)
            }
        }
    }

    /// The server has closed the connection: the end of a body that has no other.
    package func ended() -> Verdict {
        guard case .untilClose? = reader else { return .refused("closed before the answer was complete") }
        return finished
    }

    private var finished: Verdict { .document(FetchedDocument(bytes: body, lifetime: lifetime)) }

    private func read(_ bytes: Span<UInt8>) -> Verdict {
        var offset = 0
        while true {
            switch reader?.read(bytes, from: offset) {
            case .data(let range)?:
                guard body.count + range.count <= maximumBytes else {
                    return .refused("the answer has more than \(maximumBytes) bytes")
                }
                bytes.extracting(range).withUnsafeBufferPointer { body.append(contentsOf: $0) }
                offset = range.upperBound
            case .needMore?: return .incomplete
            case .end?: return finished
            case .malformed?, nil: return .refused("a malformed body")
            }
        }
    }

    /// What is wrong with a final head; nil: its body is read from now on.
    private func understand(_ line: StatusLine, _ bytes: Span<UInt8>) -> String? {
        isAnswer = line.status < 500
        isRationed = line.status == 429
        if (300..<400).contains(line.status) { return "status \(line.status); redirects are not followed" }
        if kind == .acknowledgement, (200..<300).contains(line.status) { return nil }
        guard line.status == 200 else { return "status \(line.status)" }
        var framing = FramingFields()
        var age = Interval.zero
        for index in 0..<fields.count {
            let value = bytes.extracting(fields[index].value)
            let name = bytes.extracting(fields[index].name)
            if name.equalsIgnoringCase("content-length") { framing.contentLength(value) }
            if name.equalsIgnoringCase("transfer-encoding") { framing.transferEncoding(value) }
            if name.equalsIgnoringCase("content-encoding"), !value.equalsIgnoringCase("identity") {
                return "the answer is encoded (\(quoted(value)))"
            }
            if name.equalsIgnoringCase("content-type"), kind == .json, !FetchedAnswer.isJSON(value) {
                return "the answer is \(quoted(value)) and not JSON"
            }
            if name.equalsIgnoringCase("age") { age = .seconds(min(max(number(value) ?? 0, 0), Self.longest)) }
            if name.equalsIgnoringCase("cache-control") { takeDirectives(value) }
        }
        if let known = lifetime { lifetime = max(known - age, .zero) }
        switch framing.settleResponse(status: line.status, toHead: false, minorVersion: line.minorVersion) {
        case .failure(let fault): return "a malformed answer: \(fault.rawValue)"
        case .success(.length(let length)) where length > Int64(maximumBytes):
            return "the answer has more than \(maximumBytes) bytes"
        case .success(let settled):
            reader = BodyReader(settled)
            return nil
        }
    }

    /// A media type of JSON (RFC 8259 §11, RFC 6838 §4.2.8), whatever its parameters.
    private static func isJSON(_ value: Span<UInt8>) -> Bool {
        var end = 0
        while end < value.count, value[end] != UInt8(ascii: ";"), value[end] != UInt8(ascii: " ") { end += 1 }
        let type = value.extracting(0..<end).text.lowercased()
        return type == "application/json" || type == "text/json"
            || type.hasPrefix("application/") && type.hasSuffix("+json")
    }

    /// The largest number of seconds that is told apart.
    private static let longest = 366 * 86_400

    private func takeDirectives(_ value: Span<UInt8>) {
        for part in value.text.lowercased().split(separator: ",") {
            let directive = part.trimmed
            if directive == "no-store" || directive == "no-cache" {
                lifetime = .zero
            } else if directive.hasPrefix("max-age="), let seconds = Int(directive.dropFirst(8)), seconds >= 0 {
                // The shorter one of two counts.
                lifetime = min(lifetime ?? .seconds(Self.longest), .seconds(min(seconds, Self.longest)))
            }
        }
    }

    private func number(_ value: Span<UInt8>) -> Int? { Int(value.text) }

    /// Somebody else's words, short and without what could steer a terminal.
    private func quoted(_ value: Span<UInt8>) -> String {
        String(value.text.unicodeScalars.prefix(64).map { (0x20...0x7e).contains($0.value) ? Character($0) : "?" })
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return text
    }
}

extension WebAddress {
    /// What asks for this document. One request per connection: a provider need not keep one open for us.
    package func request(accepting kind: FetchedAnswer.Kind) -> [UInt8] {
        let types =
            switch kind {
            case .json: "application/json"
            case .anything, .acknowledgement: "text/plain, */*"
            }
        return Array(
            """
            GET \(target) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: gateway\r\nAccept: \(types)\r\n\
            Accept-Encoding: identity\r\nConnection: close\r\n\r\n
            """.utf8)
    }
}
