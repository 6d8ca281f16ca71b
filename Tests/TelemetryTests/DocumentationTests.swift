import Foundation
import Testing
import Wire

@testable import Telemetry

/// What operators search for and graph stands in docs/metrics.md and docs/logs.md. A name that is missing there, or that
/// nothing writes any more, is found here.
@Suite struct `The page on metrics` {
    let page: String

    init() throws { page = try documentation("metrics.md") }

    /// Of everything that is exposed: the name without the prefix, its kind, and its labels.
    private func families() -> [(name: String, kind: String, labels: Set<String>)] {
        let registry = MetricsRegistry(prefix: "gateway", version: "0.1.0", startedAt: noon)
        let shard = registry.makeShard(
            MetricCatalog(
                routes: ["api"], upstreams: ["backend"], reasons: ["revoked"], stages: ["screen"], codes: ["AUTH_004"],
                handshakes: ["full"], letGo: ["idle"], limits: ["route"], feeds: ["drop"]))
        shard.countRequest(route: 0, method: .get, status: 200, duration: .milliseconds(7))
        shard.countRefusal(stage: 0, code: 0)
        let control = ControlMetrics(ledger: .embedded)
        control.keys.sources = ["idp"]
        control.feeds.entries = [("drop", 7)]
        control.threats.patterns = ["spraying"]
        control.redis.nodes = [.init(name: "10.0.0.1:6379", isThere: true)]
        control.keys.clockLeads = ["idp": 1_500]
        control.certificates = [("gateway.test", 1_800_000_000)]
        control.upstreams.states = [.init(name: "backend", circuit: .closed, servers: [("10.0.0.5:9000", .up)])]
        let text = String(
            decoding: registry.exposition(
                control,
                logs: LogStatistics(dropped: [0, 0, 0], writeErrors: [0, 0, 0], spilled: 0), at: noon),
            as: UTF8.self)
        let lines = text.split(separator: "\n")
        return lines.filter { $0.hasPrefix("# TYPE gateway_") }.map { line in
            let words = line.split(separator: " ")
            let name = String(words[2])
            let samples = lines.filter { $0.hasPrefix("\(name){") || $0.hasPrefix("\(name)_count{") }
            let labels = samples.flatMap { $0.matches(of: #/[{,](\w+)="/#).map { String($0.1) } }
            return (String(name.dropFirst("gateway_".count)), String(words[3]), Set(labels))
        }
    }

    /// The rows of the page whose second cell is a kind: name or names, kind, labels.
    private func rows() -> [(names: [String], kind: String, labels: Set<String>)] {
        page.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count > 4 else { return nil }
            let kind = cells[2].trimmingCharacters(in: .whitespaces)
            guard ["counter", "gauge", "histogram"].contains(kind) else { return nil }
            // Behind a colon stand the values of the label before it.
            let labels = cells[3].split(separator: ":").first.map(quoted) ?? []
            return (quoted(cells[1]), kind, Set(labels))
        }
    }

    private func quoted(_ cell: Substring) -> [String] { cell.matches(of: #/`(\w+)`/#).map { String($0.1) } }

    @Test func `names every family with its kind and its labels`() {
        for family in families() {
            let row = rows().first { $0.names.contains(family.name) }
            #expect(row?.kind == family.kind, "\(family.name)")
            #expect(row?.labels == family.labels, "\(family.name)")
        }
    }

    @Test func `names no family that does not exist`() {
        let known = families().map(\.name)
        for name in rows().flatMap(\.names) { #expect(known.contains(name), "\(name)") }
    }

    @Test func `has examples that ask for families that exist`() {
        let known = families().map(\.name)
        for match in page.matches(of: #/gateway_([a-z_]+)/#) {
            let name = String(match.1).replacing(#/_bucket$/#, with: "")
            #expect(known.contains(name), "\(name)")
        }
    }
}

@Suite struct `The page on logs` {
    let page: String

    init() throws { page = try documentation("logs.md") }

    private static let kinds: [AuditEvent.Kind] = {
        let network = IPNetwork("203.0.113.7")!
        return [
            .loginFailed(reason: "bad_credentials", failures: 1, limit: 5, window: .seconds(60)),
            .loginSucceeded(afterFailures: 0), .loginSucceeded(afterFailures: 1),
            .authenticationFailed(reason: "token_expired", token: nil), .authenticated(token: nil),
            .authenticatedInGrace(token: nil),
            .authorizationFailed(reason: "missing_claim"), .bruteForceDetected(failures: 5, window: .seconds(60)),
            .blocked(AuditBlock(subject: network, length: nil, expiresAt: nil, trigger: "t", actor: "a")),
            .unblocked(subject: network, trigger: "t", actor: "a"), .blockExpired(subject: network),
            .blockedRequest(suppressed: 0), .blockedRequestsSuppressed(count: 1), .connectionRefused(suppressed: 0),
            .connectionsRefusedSuppressed(count: 1), .rateLimited(limit: "route", suppressed: 0),
            .rateLimitedSuppressed(count: 1), .accountLock(AuditAccountLock(.locked, "a")),
            .accountLock(AuditAccountLock(.unlocked, "a")), .accountLock(AuditAccountLock(.expired, "a")),
            .accountLock(AuditAccountLock(.tried, "a")), .accountLock(AuditAccountLock(.triedSuppressed, "a")),
            .challenged(suppressed: 0), .challengedSuppressed(count: 1),
            .threat(threat(.began)), .threat(threat(.continues)), .threat(threat(.ended)),
        ]
    }()

    private static func threat(_ step: AuditThreat.Step) -> AuditThreat {
        AuditThreat(step, id: "1", pattern: "spraying", failures: 9, accounts: 8, networks: 7, window: .seconds(60))
    }

    @Test func `has one row with all the words of each record`() {
        for words in Self.kinds.flatMap({ AuditEvent($0).words }) {
            let wanted = [words.event, words.action, words.owasp].compactMap { $0 }.map { "`\($0)`" }
            let isThere = page.split(separator: "\n").contains { row in wanted.allSatisfy { row.contains($0) } }
            #expect(isThere, "\(wanted)")
        }
    }

    @Test func `has every field of a record`() throws {
        var event = AuditEvent(Self.kinds[0], client: IPAddress("203.0.113.7"))
        event.peer = IPAddress("10.0.0.1")
        event.peerPort = 41_000
        event.method = "POST"
        event.endpoint = "/auth/login"
        event.userAgent = "curl"
        event.code = "AUTH_004"
        event.stage = "judge"
        event.requestID = "req-1"
        event.traceID = "4bf9"
        let line = String(decoding: auditLines(event, id: (process: 7, number: 1), at: noon), as: UTF8.self)
        let record = try object(String(line.dropLast()))
        let context = try #require(record["context"] as? [String: Any])
        for name in Array(record.keys) + Array(context.keys) where name != "context" {
            #expect(page.contains("`\(name)`") || page.contains("`context.\(name)`"), "\(name)")
        }
    }

    @Test func `names every operational event`() throws {
        let sources = repository().appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var events = Set<String>()
        for case let file as URL in files where file.pathExtension == "swift" {
            // What is logged: a level, then the event.
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: #/\.(?:debug|info|warning|error),\s*"([a-z]+\.[a-z_]+)"/#) {
                events.insert(String(match.1))
            }
        }
        #expect(events.count > 10)
        for event in events.sorted() { #expect(page.contains("`\(event)`"), "\(event)") }
    }
}

private func repository(from here: String = #filePath) -> URL {
    URL(filePath: here).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
}

private func documentation(_ name: String) throws -> String {
    try String(contentsOf: repository().appending(path: "docs/\(name)"), encoding: .utf8)
}
