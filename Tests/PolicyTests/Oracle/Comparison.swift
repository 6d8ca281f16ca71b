@testable import Policy

/// How the two readers differ about one connection, where that matters.
struct Difference {
    enum Kind: Equatable {
        /// NIOHTTP1 refuses, with this word, what the gateway passes on.
        case theyRefuse(String)
        /// Both read the request, and find another method, target, list of fields, body or end in it.
        case disagreement(String)
    }

    let kind: Kind
    /// The request as the gateway reads it. In the last one of a connection the body may be missing.
    let request: Reading.Request
    /// Where it begins, and where the one before it does; the same for the first one.
    let start: Int
    let previousStart: Int
    let bytes: [UInt8]
}

/// What came of many comparisons.
struct Tally {
    var cases = 0
    /// Requests that both read, and read alike.
    var agreed = 0
    var bothRefuse = 0
    /// By the gateway's own words: what it refuses and NIOHTTP1 takes.
    var stricter: [String: Int] = [:]
    var allowed: [String: Int] = [:]
    var differences: [Difference] = []

    mutating func add(_ other: Tally) {
        cases += other.cases
        agreed += other.agreed
        bothRefuse += other.bothRefuse
        stricter.merge(other.stricter, uniquingKeysWith: +)
        allowed.merge(other.allowed, uniquingKeysWith: +)
        differences += other.differences
    }

    /// Reads the bytes of one connection both ways.
    mutating func compare(_ sent: [UInt8], with reader: OurReader) {
        cases += 1
        let ours = reader.read(sent)
        let cuts = ours.requests.flatMap { [$0.end - 1, $0.end] }
        let theirs = TheirReader.read(sent, cuts: cuts)
        guard let difference = judge(ours, theirs, sent) else { return }
        if let entry = AllowedDifference.all.first(where: { $0.covers(difference) }) {
            allowed[entry.name, default: 0] += 1
        } else {
            differences.append(difference)
        }
    }

    private mutating func judge(_ ours: Reading, _ theirs: Reading, _ sent: [UInt8]) -> Difference? {
        var start = 0
        var previousStart = 0
        func differ(_ kind: Difference.Kind, _ request: Reading.Request) -> Difference {
            Difference(kind: kind, request: request, start: start, previousStart: previousStart, bytes: sent)
        }
        for (index, request) in ours.requests.enumerated() {
            guard index < theirs.requests.count else {
                if case .refused(let word) = theirs.ending { return differ(.theyRefuse(word), request) }
                // llhttp leaves what follows a request with Upgrade to the new protocol. A server may decline to switch
                // (RFC 9110 §7.8), as we do, and what follows is then the next request.
                if index > 0, theirs.requests[index - 1].asksForUpgrade { return nil }
                return differ(.disagreement("they wait for more of it"), request)
            }
            if let matter = difference(request, theirs.requests[index]) {
                return differ(.disagreement(matter), request)
            }
            agreed += 1
            previousStart = start
            start = request.end
        }
        let next = theirs.requests.count > ours.requests.count ? theirs.requests[ours.requests.count] : nil
        switch ours.ending {
        case .closed: return nil
        case .refused(let words):
            if next != nil || theirs.isInBody {
                stricter[words, default: 0] += 1
            } else if case .refused = theirs.ending {
                bothRefuse += 1
            }
            return nil
        case .waitingForBody(let request):
            if next != nil { return differ(.disagreement("they see its end"), request) }
            if case .refused(let word) = theirs.ending { return differ(.theyRefuse(word), request) }
            return nil
        case .complete, .waitingForHead:
            return next.map { differ(.disagreement("they see one more"), $0) }
        }
    }

    /// What the two readings of one request do not have in common.
    private func difference(_ ours: Reading.Request, _ theirs: Reading.Request) -> String? {
        if ours.method != theirs.method { return "method" }
        if ours.target != theirs.target { return "target" }
        if ours.fields != theirs.fields { return "fields" }
        if ours.body != theirs.body { return "body" }
        if ours.end != theirs.end { return "end" }
        guard let passedOn = ours.passedOn else { return nil }
        return Passage.difference(ours, passedOn)
    }
}

extension Reading.Request {
    fileprivate var asksForUpgrade: Bool { fields.contains { $0.name.lowercased() == "upgrade" } }
}

/// What the backend gets, read by NIOHTTP1, beside what the client sent.
enum Passage {
    /// Fields that the gateway sets, settles or removes (docs/life-of-a-request.md); the others pass as they came.
    private static let ours: Set<String> = [
        "connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings", "proxy-connection",
        "proxy-authenticate", "proxy-authorization", "proxy-authentication-info", "transfer-encoding", "content-length",
        "host", "via", "expect", "max-forwards", "traceparent", "tracestate", "x-request-id", "forwarded", "proxy",
        "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip", "x-rewrite-url",
        "x-original-url", "x-http-method-override", "x-http-method", "x-method-override",
        "x-user-id", "x-user-role", "x-authenticated",
    ]
    private static let ourPrefixes = ["x-forwarded", "client-cert", "x-client-cert", "x-ssl-client"]
    /// Names that steer somebody; with another sign for `-` they go no further.
    private static let steering: Set<String> = [
        "user-agent", "content-type", "access-control-request-method", "origin",
    ]
    /// Never taken out by naming them in Connection.
    private static let fixed: Set<String> = ["authorization", "cookie", "content-type", "content-encoding"]

    static func difference(_ sent: Reading.Request, _ bytes: [UInt8]) -> String? {
        let passage = TheirReader.read(bytes, cuts: [bytes.count - 1])
        guard passage.requests.count == 1, passage.isBetween, passage.requests[0].end == bytes.count
        else {
            return "what is passed on is not one request"
        }
        let received = passage.requests[0]
        if received.method != sent.method { return "method passed on" }
        if received.body != sent.body { return "body passed on" }
        let named = Set(
            sent.fields.filter { $0.name.lowercased() == "connection" }
                .flatMap { $0.value.split(separator: ",") }
                .map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() })
        if kept(sent.fields, named) != kept(received.fields, named) { return "fields passed on" }
        if received.fields.filter({ $0.name.lowercased() == "host" }).count != 1 { return "Host passed on" }
        return nil
    }

    private static func kept(_ fields: [Reading.Field], _ named: Set<String>) -> [Reading.Field] {
        fields.filter { field in
            let name = field.name.lowercased()
            let folded = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
            let isOurs = ours.contains(folded) || ourPrefixes.contains { folded.hasPrefix($0) }
            let isDisguised = name != folded && (steering.contains(folded) || fixed.contains(folded))
            return !isOurs && !isDisguised && (fixed.contains(name) || !named.contains(name))
        }
    }
}
