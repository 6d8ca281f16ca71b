import Settings
import Testing
import Wire

@testable import Policy

@Suite struct `A threat` {
    private let start = Instant(nanoseconds: 1_000_000_000_000)
    private let noon = WallTime(milliseconds: 1_795_262_400_000)
    private let finding = ThreatFinding(
        .spraying, .network(IPNetwork("203.0.113.7")!), ThreatMeasures(failures: 12, accounts: 10, networks: 1))

    private func note(
        _ book: inout ThreatBook, _ finding: ThreatFinding, after seconds: Int, id: String = "1"
    ) -> ThreatNews? {
        book.note(
            finding, from: IPAddress("203.0.113.7"), quiet: .seconds(900), reminder: .seconds(600),
            at: start + .seconds(seconds), wall: noon + .seconds(seconds), id: id)
    }

    @Test func `is told once, again after a while, and when it is over`() throws {
        var book = ThreatBook()
        #expect(note(&book, finding, after: 0)?.step == .began)
        for second in 1..<600 { #expect(note(&book, finding, after: second) == nil) }
        var more = finding
        more = ThreatFinding(
            more.pattern, more.subject, ThreatMeasures(failures: 40, accounts: 9, networks: 1))
        let again = try #require(note(&book, more, after: 600))
        #expect(again.step == .continues && again.threat.signs == 601)
        #expect(again.threat.measures == ThreatMeasures(failures: 40, accounts: 10, networks: 1))
        #expect(book.sweep(at: start + .seconds(1_499), wall: noon).isEmpty)
        let over = try #require(book.sweep(at: start + .seconds(1_500), wall: noon + .seconds(1_500)).first)
        #expect(over.step == .ended && over.threat.ended == noon + .seconds(1_500) && over.threat.id == "1")
        #expect(book.isQuiet && book.recent == [over.threat])
        #expect(note(&book, finding, after: 1_600, id: "2")?.threat.id == "2", "another one")
        #expect(book.begun == [.spraying: 2] && book.activeCounts[.spraying] == 1)
    }

    @Test func `is one for each subject and pattern`() {
        var book = ThreatBook()
        _ = note(&book, finding, after: 0)
        let other = ThreatFinding(.successAfterFailures, finding.subject, finding.measures)
        #expect(note(&book, other, after: 0, id: "2")?.step == .began)
        #expect(note(&book, ThreatFinding(.spraying, .everybody, finding.measures), after: 1, id: "3")?.step == .began)
        #expect(book.active.map(\.id) == ["3", "1", "2"])
        #expect(book.endAll(at: noon + .seconds(2)).map(\.threat.id) == ["1", "2", "3"])
        #expect(book.isQuiet)
    }

    @Test func `of a thousand is listed among 128, and the rest are counted`() {
        var book = ThreatBook()
        for number in 0..<1_000 {
            let one = ThreatFinding(.singleAccount, .account(account(number)), finding.measures)
            #expect((note(&book, one, after: 0, id: "\(number)") != nil) == (number < 128))
        }
        #expect(book.active.count == 128 && book.unlisted == 872 && book.begun == [.singleAccount: 128])
        let success = ThreatFinding(.successAfterFailures, .account(account(999)), finding.measures)
        #expect(note(&book, success, after: 0)?.step == .began, "no flood hides another pattern")
        #expect(book.sweep(at: start + .seconds(900), wall: noon).count == 129)
        #expect(book.recent.count == 64 && book.isQuiet)
        #expect(book.activeCounts.values.allSatisfy { $0 == 0 })
    }
}

@Suite struct `A message to a webhook` {
    private let noon = WallTime(milliseconds: 1_795_262_400_123)

    @Test func `is signed as Standard Webhooks says`() {
        var webhook = Configuration.Threats.Webhook(WebAddress("https://alerts.example/in?team=a")!)
        webhook.secret = Secret(Array("0123456789abcdef0123456789abcdef".utf8))
        let text = String(
            decoding: WebhookRequest.bytes(Array(#"{"a":1}"#.utf8), id: "msg_1", at: noon, to: webhook), as: UTF8.self)
        // printf '%s' 'msg_1.1795262400.{"a":1}' |
        //     openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64
        #expect(
            text == """
                POST /in?team=a HTTP/1.1\r
                Host: alerts.example\r
                User-Agent: gateway\r
                Content-Type: application/json\r
                Content-Length: 7\r
                Connection: close\r
                Webhook-Id: msg_1\r
                Webhook-Timestamp: 1795262400\r
                Webhook-Signature: v1,iDpR9lh1e9TAG38q/ZAWcSePy1BNytJdDFd9r4NB13k=\r
                \r
                {"a":1}
                """)
        webhook.secret = nil
        let unsigned = WebhookRequest.bytes([], id: "msg_1", at: noon, to: webhook)
        #expect(!String(decoding: unsigned, as: UTF8.self).contains("Signature"))
    }

    @Test func `is sent again less and less often`() {
        #expect((1...6).map { WebhookRequest.pause(after: $0).seconds } == [1, 4, 16, 60, 60, 60])
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", true), ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 202 Accepted\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false), ("HTTP/1.1 429 Slow\r\n\r\n", false),
        ("hello\r\n\r\n", false),
    ])
    func `is accepted by any status of success, whatever its body`(_ text: String, _ isAccepted: Bool) {
        let answer = FetchedAnswer(kind: .acknowledgement)
        let verdict = answer.take(Array(text.utf8).span)
        #expect((verdict == .document(FetchedDocument(bytes: [], lifetime: nil))) == isAccepted, "\(verdict)")
    }
}
