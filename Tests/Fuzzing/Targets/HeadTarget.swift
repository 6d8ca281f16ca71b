import Policy
import Wire

/// The head of a request through every stage of the Gatekeeper, and what it becomes: the head for the upstream or the
/// gateway's own answer. The first byte chooses who sends it, and whether TLS is demanded; the rest is what is sent.
package final class HeadTarget: FuzzTarget {
    package static let name = "head"

    private let lenient = House.gatekeeper()
    private let strict = House.gatekeeper(House.strictRules)
    private var gatekeeper: Gatekeeper
    /// What is kept of the inputs before, as for the requests of a connection.
    private let ways = [ForwardingText(), ForwardingText()]
    private var out = ByteWriter(capacity: 1 << 17)
    private let links: [ClientLink?] = [
        nil, ClientLink(), ClientLink(subject: "CN=client", fingerprint: "00ff", encoded: "MAA="),
    ]
    private let peers = ["203.0.113.9", "10.0.0.1", "2001:db8::9", "198.51.100.7"].map { IPAddress($0)! }

    package init() { gatekeeper = lenient }

    private struct Sender {
        let peer: IPAddress
        let link: ClientLink?
    }

    package func check(_ input: [UInt8]) throws(Finding) {
        guard let choice = input.first else { return }
        gatekeeper = choice & 0x40 == 0 ? lenient : strict
        let sender = Sender(peer: peers[Int(choice) & 3], link: links[(Int(choice) >> 2) % 3])
        let bytes = Array(input.dropFirst())
        let decision = decide(bytes, sender)
        switch decision.verdict {
        case .incomplete: break
        case .introspect: throw Finding("nobody is asked where nobody is named")
        case .refuse(let refusal): try checkRefusal(refusal, decision.facts, bytes)
        case .answer(let answer): try checkAnswer(answer, decision.facts, bytes)
        case .forward(let plan): try checkForwarded(plan, decision.facts, bytes, sender)
        }
        try checkPieces(of: bytes, decision, sender)
    }

    private struct Decision {
        let verdict: Verdict
        let facts: RequestFacts
    }

    private func decide(_ bytes: [UInt8], _ sender: Sender) -> Decision {
        var facts = RequestFacts(client: sender.peer)
        let verdict = gatekeeper.decide(
            bytes.span, peer: sender.peer, link: sender.link, now: House.now, wall: House.wall, facts: &facts)
        return Decision(verdict: verdict, facts: facts)
    }

    /// A head that arrives in pieces is judged as in one, and what stands behind it does not matter.
    private func checkPieces(of bytes: [UInt8], _ decision: Decision, _ sender: Sender) throws(Finding) {
        let (verdict, facts) = (decision.verdict, decision.facts)
        let end: Int
        switch verdict {
        case .incomplete, .introspect, .refuse: end = bytes.count
        case .answer, .forward: end = facts.headLength
        }
        guard end > 0 else { return }
        let checksum = bytes.checksum
        for cut in [Int(checksum % UInt64(end)), Int((checksum >> 32) % UInt64(end)), end - 1] {
            switch (decide(Array(bytes[..<cut]), sender).verdict, verdict) {
            case (.incomplete, _), (.refuse, .refuse): break
            case (.refuse, _): throw Finding("a fault in the beginning of a head is one in the whole")
            case (.answer, _), (.introspect, _), (.forward, _):
                throw Finding("nothing is answered or forwarded before its head is there")
            }
        }
        let again = decide(Array(bytes[..<end]), sender)
        switch (again.verdict, verdict) {
        case (.forward(let short), .forward(let long)):
            try require(
                again.facts.framing == facts.framing && again.facts.route == facts.route
                    && again.facts.headLength == facts.headLength && short.isLogin == long.isLogin,
                "what follows a head does not change its plan")
        case (.answer, .answer), (.incomplete, .incomplete): break
        case (.refuse(let short), .refuse(let long)):
            try require(short == long, "what follows a head does not change its refusal")
        default: throw Finding("what follows a head does not change its verdict")
        }
    }

    // MARK: Answers of our own

    private func checkRefusal(_ refusal: Refusal, _ facts: RequestFacts, _ bytes: [UInt8]) throws(Finding) {
        // Places that do not lie in the head trap here.
        for place in [facts.method, facts.path, facts.host, facts.authority, facts.userAgent, facts.origin] {
            _ = bytes[place]
        }
        if let token = gatekeeper.refusedToken { _ = bytes[token] }
        let keeper = gatekeeper
        _ = keeper.pathForLogs(bytes.span, facts.path).count
        let trace = RequestTrace()
        gatekeeper.name(trace, bytes.span, peer: facts.client)
        let date = House.date
        out.reset()
        gatekeeper.write(
            refusal, facts, origin: bytes.span.extracting(facts.origin), requestID: trace.requestID,
            date: date.span, keepAlive: facts.keepAlive && !refusal.closes, into: &out)
        try require(!out.overflowed, "an answer has room")
        let sent = out.unownedBytes.array
        let head = try PlainHead(sent, .response)
        try require(
            head.startLine.starts(with: Array("HTTP/1.1 \(refusal.status) ".utf8)), "an answer begins with its status")
        let transport = head.fields.count { $0.name == "strict-transport-security" }
        try require(transport == (facts.isSecure ? 1 : 0), "HSTS is said once, over TLS")
        try require(head.fields.count { $0.name == "x-frame-options" } == 1, "security headers are there once")
        guard case .length(let length) = try head.framing() else { throw Finding("an answer says its length") }
        try require(
            facts.isHead ? sent.count == head.length : Int64(sent.count - head.length) == length,
            "an answer is as long as it says")
    }

    private func checkAnswer(_ answer: LocalAnswer, _ facts: RequestFacts, _ bytes: [UInt8]) throws(Finding) {
        try require(
            facts.headLength > 0 && facts.headLength <= bytes.count, "an answer has a head that it belongs to")
        if case .redirect(let location) = answer {
            try require(location.allSatisfy { $0 > 32 && $0 < 127 }, "a location is visible ASCII")
            try require(location.starts(with: Array("https://".utf8)), "a redirect leads to https")
            try require(!facts.isSecure && gatekeeper === strict, "nobody is redirected who need not be")
        }
    }

    // MARK: What goes to the upstream

    private func checkForwarded(
        _ plan: Plan, _ facts: RequestFacts, _ bytes: [UInt8], _ sender: Sender
    ) throws(Finding) {
        try require(facts.headLength <= bytes.count, "a head is no longer than what was sent")
        let identity = gatekeeper.identity
        let trace = RequestTrace()
        gatekeeper.name(trace, bytes.span, peer: sender.peer)
        out.reset()
        gatekeeper.prepare(plan, facts, bytes.span, trace, peer: sender.peer, link: sender.link, into: &out)
        try require(!out.overflowed, "a head has room")
        let sent = out.unownedBytes.array
        out.reset()
        gatekeeper.prepare(
            plan, facts, bytes.span, trace, peer: sender.peer, link: sender.link,
            way: ways[gatekeeper === strict ? 1 : 0],
            into: &out)
        try require(out.unownedBytes.array == sent, "what was kept of another request changes nothing")
        let head = try PlainHead(sent)
        try require(head.length == sent.count, "a request is one head")
        try checkRequestLine(head.startLine, method: bytes[facts.method])
        try checkFields(head, plan, facts, identity, sender)
        try checkKept(head, bytes)
        try checkAgain(sent, plan, facts, sender)
    }

    private func checkRequestLine(_ line: [UInt8], method: ArraySlice<UInt8>) throws(Finding) {
        let parts = line.split(separator: 32, omittingEmptySubsequences: false)
        try require(
            parts.count == 3 && parts[0] == method && Array(parts[2]) == Array("HTTP/1.1".utf8),
            "a request line has a method, a target and our version")
        let target = Array(parts[1])
        if target == [UInt8(ascii: "*")] {
            try require(Array(method) == Array("OPTIONS".utf8), "only OPTIONS asks for no path")
            return
        }
        try require(target.first == UInt8(ascii: "/") && !target.starts(with: Array("//".utf8)), "a path is absolute")
        try require(target.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }, "a target is visible ASCII")
    }

    private func checkFields(
        _ head: PlainHead, _ plan: Plan, _ facts: RequestFacts, _ identity: VerifiedToken?, _ sender: Sender
    ) throws(Finding) {
        try require(head.count("host") == 1, "there is exactly one Host")
        let framing: BodyFraming
        switch try head.framing() {
        case .nothing, .length(0): framing = .none
        case .length(let length): framing = .length(length)
        case .chunked: framing = .chunked
        }
        try require(framing == facts.framing, "the upstream is told of the body that is relayed")
        for name in ["keep-alive", "te", "trailer", "proxy-connection", "proxy-authorization"] {
            try require(head.count(name) == 0, "what is for one hop goes no further")
        }
        let change = gatekeeper.protocolChange
        let upgrades = change == nil ? 0 : 1
        try require(plan.changesProtocol == (change != nil), "a plan says whether there is another protocol")
        try require(
            head.count("connection") == upgrades && head.count("upgrade") == upgrades,
            "a connection changes to another protocol when that was decided")
        if let upgrade = change {
            try require(
                head.text("connection") == "Upgrade" && head.value("upgrade") == upgrade.name && framing == .none,
                "the other protocol is the one that was decided about")
        }
        for name in [
            "x-real-ip", "true-client-ip", "x-original-url", "x-rewrite-url", "x-forwarded", "proxy",
            "x-http-method-override", "x-http-method", "x-method-override",
        ] {
            try require(head.count(name) == 0, "what only a proxy may say is not taken from clients")
        }
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent", "forwarded"] {
            try require(head.count(name) == 1, "what we say of a request is said once")
        }
        try require(head.count("x-forwarded-host") <= 1, "the host is said once")
        let certificate = sender.link.map { $0.certificateFields.isEmpty ? 0 : 1 } ?? 0
        for name in ["client-cert", "x-client-cert-subject", "x-client-cert-fingerprint"] {
            try require(head.count(name) == certificate, "a certificate is one that was shown")
        }
        let mapped = try PlainHead(Array("fields\r\n".utf8) + (identity?.identityFields ?? []) + [13, 10])
        for name in ["x-user-id", "x-user-role", "x-authenticated"] {
            try require(
                head.count(name) == mapped.count(name) && head.value(name) == mapped.value(name),
                "an identity is one that was verified")
        }
    }

    /// `Connection` must not take away what authenticates the request.
    private func checkKept(_ head: PlainHead, _ bytes: [UInt8]) throws(Finding) {
        let asked = try PlainHead(Array(bytes.drop { $0 == 13 || $0 == 10 }))
        for name in ["authorization", "cookie"] {
            let kept = head.fields.filter { $0.name == name }.map(\.value)
            try require(kept == asked.fields.filter { $0.name == name }.map(\.value), "credentials go on as they came")
        }
    }

    /// What was written is understood by ourselves as the very same request.
    private func checkAgain(
        _ sent: [UInt8], _ plan: Plan, _ facts: RequestFacts, _ sender: Sender
    ) throws(Finding) {
        // HTTP/1.0 may come without a host, and goes on with an empty one (RFC 9112 §3.2).
        if facts.authority.isEmpty { return }
        let change = gatekeeper.protocolChange
        let decision = decide(sent, sender)
        let found = decision.facts
        switch decision.verdict {
        case .incomplete, .introspect: throw Finding("what is sent is a whole head")
        case .refuse(let refusal):
            // It has fields of ours, and a path in canonical form may be three times as long as it came.
            try require(
                refusal == .headTooLarge || refusal == .targetTooLong, "what is sent is nothing that we refuse")
        case .answer(let answer):
            guard case .options = answer else { throw Finding("what is sent is nothing that we answer") }
        case .forward(let again):
            try require(
                found.headLength == sent.count && found.framing == facts.framing && found.route == facts.route
                    && again.upstream == plan.upstream
                    && again.isLogin == plan.isLogin && again.isIdempotent == plan.isIdempotent
                    && found.client == facts.client && found.isHead == facts.isHead
                    && gatekeeper.protocolChange?.name == change?.name,
                "what is sent is the request that was decided about")
        }
    }
}
