import Settings
import Testing
import Wire

@testable import Policy

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

@Suite struct `Messages that wait for a webhook` {
    private func message(_ id: String, _ rank: WebhookMessage.Rank) -> WebhookMessage {
        WebhookMessage(id: id, [], rank)
    }

    private func sent(_ queue: inout WebhookQueue) -> [String] {
        var ids: [String] = []
        while let next = queue.send() {
            ids.append(next.id)
            queue.accepted()
        }
        return ids
    }

    @Test func `are sent by their importance, and in their order`() {
        var queue = WebhookQueue()
        #expect(queue.add(message("a", .reminder))?.place == .first)
        #expect(queue.send()?.id == "a" && queue.isSending)
        let ranks: [(String, WebhookMessage.Rank)] = [
            ("b", .reminder), ("c", .news), ("d", .urgent), ("e", .news), ("f", .first), ("g", .urgent),
        ]
        for (id, rank) in ranks { #expect(queue.add(message(id, rank))?.place == .waiting, "a is on its way") }
        queue.accepted()
        #expect(sent(&queue) == ["d", "g", "f", "c", "e", "b"])
    }

    @Test func `do not wait for the pause of a less important one`() {
        var queue = WebhookQueue()
        _ = queue.add(message("a", .news))
        _ = queue.send()
        #expect(queue.refused(retries: 4) == .seconds(1))
        #expect(queue.add(message("b", .news))?.place == .waiting)
        #expect(queue.add(message("c", .urgent))?.place == .first)
        #expect(queue.add(message("d", .urgent))?.place == .waiting)
        #expect(sent(&queue) == ["c", "d", "a", "b"])
    }

    @Test func `that are urgent are never given up while there is room`() {
        var queue = WebhookQueue()
        _ = queue.add(message("urgent", .urgent))
        _ = queue.add(message("news", .news))
        #expect(queue.send()?.id == "urgent" && queue.refused(retries: 1) == .seconds(1))
        #expect(queue.send()?.id == "urgent" && queue.refused(retries: 1) == .seconds(4))
        // It may be the one that is not liked.
        #expect(queue.send()?.id == "news" && queue.refused(retries: 1) == .seconds(1))
        #expect(queue.send()?.id == "news" && queue.refused(retries: 1) == nil, "given up")
        for _ in 0..<100 { #expect(queue.send()?.id == "urgent" && queue.refused(retries: 1) != nil) }
        for number in 1..<64 { _ = queue.add(message("\(number)", .urgent)) }
        #expect(queue.send()?.id == "urgent" && queue.refused(retries: 1) == nil && queue.count == 63, "no room")
    }

    @Test func `give way to more important ones where there is no room`() {
        var queue = WebhookQueue()
        for number in 0..<62 { _ = queue.add(message("n\(number)", .news)) }
        _ = queue.send()
        #expect(queue.add(message("r1", .reminder))?.isLossy == false)
        #expect(queue.add(message("r2", .reminder))?.isLossy == false)
        #expect(queue.add(message("r3", .reminder)) == nil)
        #expect(queue.add(message("n62", .news))?.isLossy == true)
        #expect(queue.add(message("u", .urgent))?.isLossy == true)
        #expect(queue.add(message("n63", .news)) == nil)
        queue.accepted()
        let ids = sent(&queue)
        #expect(ids.count == 63 && ids.first == "u" && ids.last == "n62", "\(ids)")
    }
}
