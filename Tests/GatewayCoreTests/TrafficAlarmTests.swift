import Policy
import Settings
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The alarm of one address` {
    private let wall = WallTime(seconds: 1_795_262_400)
    private let now = Instant(nanoseconds: 50_000_000_000)
    private let found = TrafficShare.Finding(IPAddress("172.18.0.1")!, .unnamedProxy)

    private func configuration(_ extra: String = "") throws -> Configuration {
        let text = """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            \(extra)
            """
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        return try #require(Configuration.load(source).configuration)
    }

    @Test func `names the line that mends it, with what stands there already`() throws {
        #expect(found.setting(under: try configuration()) == "trusted_proxies: [172.18.0.1]")
        let more = try configuration("trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\"]")
        #expect(
            found.setting(under: more) == "trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\", 172.18.0.1]")
        let six = TrafficShare.Finding(IPAddress("fd00::1")!, .unnamedProxy)
        #expect(six.setting(under: try configuration()) == "trusted_proxies: [\"fd00::1\"]")
        let silent = TrafficShare.Finding(IPAddress("172.18.0.1")!, .silentProxy)
        #expect(silent.setting(under: more) == nil, "it is the proxy that must change")
    }

    @Test func `is reported since when it is and until it has not been seen for a while`() throws {
        var alarm = TrafficAlarm()
        let configuration = try configuration()
        #expect(alarm.report(at: now, under: configuration) == nil)
        let news = [
            alarm.take(found, at: now, wall: wall),
            alarm.take(found, at: now + .seconds(120), wall: wall + .seconds(120)),
        ]
        #expect(news == [true, false], "told once an hour")
        let report = try #require(alarm.report(at: now + .seconds(299), under: configuration))
        #expect(report["name"] == "one_address")
        #expect(report["kind"] == "unnamed_proxy")
        #expect(report["address"] == "172.18.0.1")
        #expect(report["since"] == "2026-11-21T12:00:00.000Z")
        #expect(report["setting"] == "trusted_proxies: [172.18.0.1]")
        #expect(alarm.report(at: now + .seconds(300), under: configuration) == nil)
        #expect(alarm.take(found, at: now + .seconds(3_600), wall: wall) == true)
    }

    @Test func `is over when a reload has mended it`() throws {
        var alarm = TrafficAlarm()
        _ = alarm.take(found, at: now, wall: wall)
        #expect(alarm.finding(at: now, under: try configuration()) == found)
        #expect(alarm.finding(at: now, under: try configuration("trusted_proxies: [172.16.0.0/12]")) == nil)
        let silent = TrafficShare.Finding(IPAddress("172.18.0.1")!, .silentProxy)
        _ = alarm.take(silent, at: now, wall: wall)
        #expect(alarm.finding(at: now, under: try configuration("trusted_proxies: [172.16.0.0/12]")) == silent)
        #expect(alarm.finding(at: now, under: try configuration()) == nil)
    }
}
