import Foundation
import Testing
import Wire

@testable import Telemetry

/// One exchange with every field, as a worker would have it.
struct SampleExchange {
    var method = "GET"
    var host = "api.example.org"
    var path = "/users/7"
    var userAgent = "curl/8.5"
    var server = "127.0.0.1:9000"
    var requestID = "req-1"
    var traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
    var user = "alice"
    var feed: (name: String, isObserved: Bool)?
    var facts = AccessFacts(
        finished: noon, duration: Interval(nanoseconds: 1_234_567), client: IPAddress("203.0.113.7")!,
        peer: IPAddress("10.0.0.1")!, peerPort: 41_000, status: 200, bytesIn: 120, bytesOut: 345, route: 1,
        upstream: 0, upstreamStatus: 200, upstreamTime: Interval(nanoseconds: 1_000_000))

    static let names = AccessNames(
        routes: ["root", "api"], upstreams: ["backend"], stages: ["screen", "authenticate"],
        codes: ["AUTH_004", "AUTH_001"], reasons: ["ip_blocked", "invalid_token"])

    func append(to log: AccessLog, from sender: SenderText = SenderText()) {
        var memory = [UInt8](repeating: 0, count: PendingAccess.memorySize)
        var pending = PendingAccess()
        var span = memory.mutableSpan
        pending.note(
            method: method.utf8Span.span, host: host.utf8Span.span, path: path.utf8Span.span,
            userAgent: userAgent.utf8Span.span, in: &span)
        log.append(
            facts, pending, in: memory.span, from: sender, names: SampleExchange.names,
            server: AccessNames.member(server: server).span,
            requestID: requestID.utf8Span.span, traceID: traceID.utf8Span.span, user: user.utf8Span.span, feed: feed)
    }
}

@Suite struct `The access log` {
    private func lines(of exchanges: [SampleExchange]) throws -> [String] {
        let workshop = Workshop()
        let writer = try LogWriter(targets(access: .file(path: workshop.file("access.log"))), spillPath: nil)
        let log = AccessLog(writer.accessChannel())
        for exchange in exchanges { exchange.append(to: log) }
        writer.stop()
        return workshop.lines("access.log")
    }

    @Test func `writes one line of JSON per exchange`() throws {
        let expected =
            #"{"timestamp":"2026-11-21T12:00:00.123Z","level":"INFO","service":"gateway","event":"http.request","#
            + #""client_ip":"203.0.113.7","peer_ip":"10.0.0.1","peer_port":41000,"method":"GET","#
            + #""host":"api.example.org","path":"/users/7","user_agent":"curl/8.5","status":200,"bytes_in":120,"#
            + #""bytes_out":345,"duration_ms":1.234,"route":"api","upstream":"backend","server":"127.0.0.1:9000","#
            + #""upstream_status":200,"upstream_ms":1.000,"request_id":"req-1","#
            + #""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user_id":"alice"}"#
        #expect(try lines(of: [SampleExchange()]) == [expected])
    }

    @Test func `names the feed that a client stands on, and whether that was all`() throws {
        var refused = SampleExchange()
        refused.feed = ("drop", false)
        var observed = refused
        observed.feed = ("drop", true)
        let written = try lines(of: [refused, observed])
        #expect(written[0].contains(#","feed":"drop","request_id""#))
        #expect(written[1].contains(#","observed_by":"drop","request_id""#))
        #expect(!written[1].contains(#""feed""#))
    }

    @Test func `names the sender of each request, whoever sent the one before`() throws {
        let workshop = Workshop()
        let writer = try LogWriter(targets(access: .file(path: workshop.file("access.log"))), spillPath: nil)
        let log = AccessLog(writer.accessChannel())
        let sender = SenderText()
        let senders: [(client: String, peer: String, port: UInt16)] = [
            ("203.0.113.7", "10.0.0.1", 1), ("203.0.113.7", "10.0.0.1", 1), ("203.0.113.8", "10.0.0.1", 1),
            ("203.0.113.8", "203.0.113.8", 1), ("203.0.113.8", "203.0.113.8", 65_535),
            ("2001:db8::1", "2001:db8::1", 0),
            ("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888", 65_535),
        ]
        for one in senders {
            var exchange = SampleExchange()
            exchange.facts.client = try #require(IPAddress(one.client))
            exchange.facts.peer = try #require(IPAddress(one.peer))
            exchange.facts.peerPort = one.port
            exchange.append(to: log, from: sender)
        }
        writer.stop()
        let written = workshop.lines("access.log")
        try #require(written.count == senders.count)
        for (text, one) in zip(written, senders) {
            let line = try object(text)
            #expect(line["client_ip"] as? String == one.client)
            #expect(line["peer_ip"] as? String == one.peer)
            #expect(line["peer_port"] as? Int == Int(one.port))
            #expect(line["client_port"] as? Int == (one.client == one.peer && one.port > 0 ? Int(one.port) : nil))
        }
    }

    @Test func `names stage, code and reason of a refusal, and the port of a client without a proxy`() throws {
        var exchange = SampleExchange()
        exchange.facts.peer = exchange.facts.client
        exchange.facts.status = 403
        exchange.facts.route = nil
        exchange.facts.upstream = nil
        exchange.facts.refusal = AccessRefusal(stage: 0, code: 0, reason: 0)
        exchange.user = ""
        let line = try object(try #require(lines(of: [exchange]).first))
        #expect(line["client_port"] as? Int == 41_000)
        #expect(line["stage"] as? String == "screen")
        #expect(line["code"] as? String == "AUTH_004")
        #expect(line["reason"] as? String == "ip_blocked")
        #expect(line["upstream"] == nil)
        #expect(line["route"] == nil)
        #expect(line["user_id"] == nil)
    }

    @Test func `turns over to the next second`() throws {
        var second = SampleExchange()
        second.facts.finished = noon + .milliseconds(877)
        var third = SampleExchange()
        third.facts.finished = noon + .seconds(86_400)
        let stamps = try lines(of: [SampleExchange(), second, third]).map { try object($0)["timestamp"] as? String }
        #expect(stamps == ["2026-11-21T12:00:00.123Z", "2026-11-21T12:00:01.000Z", "2026-11-22T12:00:00.123Z"])
    }

    @Test func `never shows a query`() throws {
        var exchange = SampleExchange()
        exchange.path = "/reset?token=s3cret"
        let line = try #require(lines(of: [exchange]).first)
        #expect(!line.contains("s3cret"))
        #expect(try object(line)["path"] as? String == "/reset")
    }

    @Test func `stays one line of valid JSON whatever a client sends, and within the longest line`() throws {
        var exchange = SampleExchange()
        exchange.method = String(repeating: "\n", count: 5_000)
        exchange.host = String(repeating: "\u{1b}", count: 5_000)
        exchange.path = String(repeating: "\"", count: 5_000)
        exchange.userAgent = String(repeating: "\u{0}", count: 5_000)
        exchange.server = String(repeating: "\u{9b}", count: 5_000)
        exchange.requestID = String(repeating: "\\", count: 5_000)
        exchange.traceID = String(repeating: "\r", count: 5_000)
        exchange.user = String(repeating: "é", count: 5_000)
        exchange.facts.refusal = AccessRefusal(stage: 1, code: 1, reason: 1)
        exchange.facts.client = IPAddress("1111:2222:3333:4444:5555:6666:7777:8888")!
        exchange.facts.peer = exchange.facts.client
        let written = try lines(of: [exchange])
        #expect(written.count == 1)
        #expect(try object(written[0])["client_ip"] as? String == "1111:2222:3333:4444:5555:6666:7777:8888")
        #expect(try object(written[0])["path"] != nil)
        #expect(written[0].utf8.count < LineRing.longestLine)
    }

    @Test func `tells of a request that could not be read without method and path`() throws {
        let workshop = Workshop()
        let writer = try LogWriter(targets(access: .file(path: workshop.file("access.log"))), spillPath: nil)
        let log = AccessLog(writer.accessChannel())
        let facts = AccessFacts(
            finished: noon, duration: .zero, client: IPAddress("::1")!, peer: IPAddress("::1")!, peerPort: 0,
            status: 400,
            bytesIn: 9, bytesOut: 0)
        log.append(
            facts, PendingAccess(), in: Span(), from: SenderText(), names: SampleExchange.names, server: Span(),
            requestID: Span(), traceID: Span(), user: Span())
        writer.stop()
        let line = try object(try #require(workshop.lines("access.log").first))
        #expect(line["status"] as? Int == 400)
        #expect(line["method"] == nil)
    }
}
