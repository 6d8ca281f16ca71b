import Settings
import Testing

@testable import Policy
@testable import Wire

/// The gateway's side of a conversation: its words, and the bytes that leave it.
private struct Reaction {
    var words = ""
    var bytes: [UInt8]?
}

extension Conversation {
    fileprivate func reaction() -> Reaction {
        var configuration = House.configuration()
        var peer = House.client
        for setting in settings {
            switch setting[0] {
            case "peer": peer = IPAddress(setting[1])!
            case "with":
                let pair = setting[1].split(separator: "=")
                switch pair[0] {
                case "head": configuration.limits.headBytes = Int(pair[1])!
                case "fields": configuration.limits.fields = Int(pair[1])!
                case "target": configuration.limits.targetBytes = Int(pair[1])!
                case "body": configuration.limits.bodyBytes = Int(pair[1])!
                case "forwarded": configuration.forwarding.forwarded = pair[1] == "on"
                case "routes": configuration.routes = []
                default: fatalError("\(place): no such setting")
                }
            default: fatalError("\(place): no such line")
            }
        }
        let gatekeeper = House.gatekeeper(configuration)
        var facts = RequestFacts(client: peer)
        let verdict = gatekeeper.decide(sent.span, peer: peer, now: House.now, wall: Mint.now, facts: &facts)
        var out = ByteWriter(capacity: 65_536)
        let date = Array(House.date.utf8)
        switch verdict {
        case .incomplete: return Reaction(words: "incomplete")
        case .introspect: return Reaction(words: "introspected")
        case .answer(let answer):
            let words =
                switch answer {
                case .health: "answered health"
                case .assertionKeys: "answered with the keys of assertions"
                case .redirect(let location): "redirected \(String(decoding: location, as: UTF8.self))"
                case .options(let allow): "answered options" + (allow.isEmpty ? "" : " \(allow)")
                }
            return Reaction(words: words + (facts.keepAlive ? "" : " close"))
        case .refuse(let refusal):
            let trace = RequestTrace()
            gatekeeper.name(trace, sent.span, peer: peer)
            let origin = Array(sent[facts.origin])
            let stays = facts.keepAlive && !refusal.closes
            gatekeeper.write(
                refusal, facts, origin: origin.span, requestID: trace.requestID, date: date.span, keepAlive: stays,
                into: &out)
            let words = "refused \(refusal.stage) \(refusal.status) \(refusal.code.rawValue)"
            return Reaction(
                words: words + (refusal.reason.map { " \($0.rawValue)" } ?? "") + (stays ? "" : " close"),
                bytes: out.bytes.withUnsafeBufferPointer { Array($0) })
        case .forward(let plan):
            let trace = RequestTrace()
            gatekeeper.name(trace, sent.span, peer: peer)
            gatekeeper.prepare(plan, facts, sent.span, trace, peer: peer, into: &out)
            var words = "forwarded \(configuration.upstreams[plan.upstream].name)"
            switch facts.framing {
            case .none: break
            case .length(let length): words += " body \(length)"
            case .chunked: words += " body chunked"
            case .untilClose: words += " body until close"
            }
            if plan.isLogin { words += " login" }
            if let upgrade = gatekeeper.protocolChange {
                words += " upgrade \(String(decoding: upgrade.name, as: UTF8.self))"
            }
            if !facts.keepAlive { words += " close" }
            if facts.headLength != sent.count { words += " next \(facts.headLength)" }
            return Reaction(words: words, bytes: out.bytes.withUnsafeBufferPointer { Array($0) })
        }
    }
}

@Suite struct `Conversations with clients` {
    @Test(arguments: Conversation.all(in: "requests"))
    func `go as written`(conversation: Conversation) {
        let reaction = conversation.reaction()
        func check() {
            #expect(reaction.words == conversation.verdict, "\(conversation.place)")
            if let answer = conversation.answer, let bytes = reaction.bytes {
                #expect(Conversation.shown(bytes) == Conversation.shown(answer), "\(conversation.place)")
            } else {
                #expect(conversation.answer == nil, "\(conversation.place): there is nothing to compare with")
            }
        }
        if let issue = conversation.knownIssue {
            withKnownIssue("\(issue)") { check() }
        } else {
            check()
        }
    }

    /// What one read does not bring is waited for; what was decided does not depend on how the bytes arrived.
    @Test(arguments: Conversation.all(in: "requests"))
    func `are not decided before the head is complete, except by a refusal`(conversation: Conversation) {
        guard conversation.verdict.hasPrefix("forwarded"), conversation.sent.count < 2_000 else { return }
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: House.client)
        func decide(_ bytes: Span<UInt8>) -> Verdict {
            gatekeeper.decide(bytes, peer: House.client, now: House.now, wall: Mint.now, facts: &facts)
        }
        guard case .forward = decide(conversation.sent.span) else { return }
        let length = facts.headLength
        for cut in 0..<length {
            let verdict = decide(conversation.sent.span.extracting(0..<cut))
            guard case .incomplete = verdict else {
                Issue.record("\(conversation.place): decided after \(cut) of \(length) bytes")
                return
            }
        }
    }

    @Test func `are many`() {
        #expect(Conversation.all(in: "requests").count >= 120)
        let titles = Conversation.all(in: "requests").map(\.title)
        #expect(Set(titles).count == titles.count, "each has a sentence of its own")
    }
}
