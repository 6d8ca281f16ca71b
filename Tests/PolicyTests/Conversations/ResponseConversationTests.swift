import Settings
import Testing

@testable import Policy
@testable import Wire

extension Conversation {
    /// The gateway's words, and the bytes of the head that it sends to the client.
    fileprivate func responseReaction() -> (words: String, bytes: [UInt8]?) {
        var configuration = House.configuration()
        var isHead = false
        var isLogin = false
        var minorVersion: UInt8 = 1
        var upgrade: Upgrade?
        for setting in settings {
            switch setting[0] {
            case "asked":
                isHead = setting[1] == "HEAD"
                if setting[2] == "1.0" { minorVersion = 0 }
                isLogin = setting.last == "login"
                if setting.count > 4, setting[3] == "upgrade" {
                    let key = Array((setting.count > 5 ? setting[5] : "").utf8)
                    upgrade = Upgrade(Array(setting[4].utf8).span, key: key.span)
                }
            case "with":
                let pair = setting[1].split(separator: "=")
                switch pair[0] {
                case "head": configuration.limits.headBytes = Int(pair[1])!
                case "fields": configuration.limits.fields = Int(pair[1])!
                default: fatalError("\(place): no such setting")
                }
            default: fatalError("\(place): no such line")
            }
        }
        var reader = ResponseReader(House.rules(configuration))
        // What was read before must not matter: a head with everything that is remembered of one.
        let earlier = Array("HTTP/1.1 200 OK\r\nConnection: X-Earlier, close\r\nContent-Length: 1\r\n\r\n".utf8)
        _ = reader.parse(earlier.span, to: ResponseContext(isHead: false, minorVersion: 1, loginRows: []))
        let context = ResponseContext(
            isHead: isHead, minorVersion: minorVersion, loginRows: isLogin ? .plain : [], upgrade: upgrade)
        var out = ByteWriter(capacity: 65_536)
        switch reader.parse(sent.span, to: context) {
        case .incomplete: return ("incomplete", nil)
        case .malformed: return ("malformed", nil)
        case .malformedFailedLogin: return ("malformed failed login", nil)
        case .interim(_, let length):
            reader.writeInterim(sent.span, to: context, into: &out)
            let next = length == sent.count ? "" : " next \(length)"
            return ("interim" + next, out.bytes.withUnsafeBufferPointer { Array($0) })
        case .switching(let length):
            let identifier = Array("request-1".utf8)
            reader.writeSwitch(sent.span, to: context, upgrade!, requestID: identifier.span, into: &out)
            let next = length == sent.count ? "" : " next \(length)"
            return ("switched" + next, out.bytes.withUnsafeBufferPointer { Array($0) })
        case .final(let response):
            let date = Array(House.date.utf8)
            let identifier = Array("request-1".utf8)
            reader.writeHead(
                response, sent.span, to: context, keepAlive: !response.endsWithConnection, date: date.span,
                requestID: identifier.span, into: &out)
            var words = "relayed \(response.status)"
            switch response.framing {
            case .none: break
            case .length(let length): words += " body \(length)"
            case .chunked: words += " body chunked"
            case .untilClose: words += " body until close"
            }
            if response.writesChunks { words += " as chunks" }
            if response.isFailedLogin { words += " failed login" }
            if response.isEventStream { words += " events" }
            if response.keepAlive { words += " pooled" }
            if response.endsWithConnection { words += " close" }
            return (words, out.bytes.withUnsafeBufferPointer { Array($0) })
        }
    }
}

@Suite struct `Conversations with backends` {
    @Test(arguments: Conversation.all(in: "responses"))
    func `go as written`(conversation: Conversation) {
        let reaction = conversation.responseReaction()
        func check() {
            #expect(reaction.words == conversation.verdict, "\(conversation.place)")
            guard let answer = conversation.answer else { return }
            #expect(
                reaction.bytes.map(Conversation.shown) == Conversation.shown(answer), "\(conversation.place)")
        }
        if let issue = conversation.knownIssue {
            withKnownIssue("\(issue)") { check() }
        } else {
            check()
        }
    }

    @Test(arguments: Conversation.all(in: "responses"))
    func `are not decided before the head is complete, except as malformed`(conversation: Conversation) {
        guard conversation.verdict.hasPrefix("relayed"), let end = conversation.sent.endOfHead else { return }
        var reader = ResponseReader(House.rules(House.configuration()))
        let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: [])
        for cut in 0..<end {
            guard case .incomplete = reader.parse(conversation.sent.span.extracting(0..<cut), to: context) else {
                Issue.record("\(conversation.place): decided after \(cut) of \(end) bytes")
                return
            }
        }
    }

    /// It must not come (RFC 9112 §6.3 (1)), and comes from some servers all the same.
    @Test func `tell of a body that may follow an answer without one`() {
        func mayBeFollowed(_ head: String, isHead: Bool) -> Bool? {
            var reader = ResponseReader(House.rules(House.configuration()))
            let context = ResponseContext(isHead: isHead, minorVersion: 1, loginRows: [])
            guard case .final(let response) = reader.parse(Array((head + "\r\n\r\n").utf8).span, to: context) else {
                return nil
            }
            return response.mayBeFollowed
        }
        #expect(mayBeFollowed("HTTP/1.1 200 OK\r\nContent-Length: 5", isHead: true) == true)
        #expect(mayBeFollowed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", isHead: true) == true)
        #expect(mayBeFollowed("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", isHead: false) == true)
        #expect(mayBeFollowed("HTTP/1.1 200 OK\r\nContent-Length: 0", isHead: true) == false)
        #expect(mayBeFollowed("HTTP/1.1 200 OK", isHead: true) == false)
        #expect(mayBeFollowed("HTTP/1.1 304 Not Modified", isHead: false) == false)
        #expect(mayBeFollowed("HTTP/1.1 200 OK\r\nContent-Length: 5", isHead: false) == false)
    }

    @Test func `are many`() {
        #expect(Conversation.all(in: "responses").count >= 40)
        let titles = Conversation.all(in: "responses").map(\.title)
        #expect(Set(titles).count == titles.count, "each has a sentence of its own")
    }
}

extension [UInt8] {
    /// Behind the first empty line.
    fileprivate var endOfHead: Int? {
        indices.first { $0 >= 4 && self[($0 - 4)..<$0].elementsEqual([13, 10, 13, 10]) } ?? (count > 3 ? count : nil)
    }
}
