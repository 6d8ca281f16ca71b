import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `The command about rate limits` {
    /// Nothing answers there: what gets as far as asking fails with `unreachable`.
    private func failure(_ words: String...) throws -> CommandFailure {
        let command = try #require(CommandTable.all.first { $0.name == "rate-limit" })
        do throws(CommandFailure) {
            let code = try command.action(try command.parse(words + ["--socket", "/tmp/there/is/no/gateway"]))
            Issue.record("it came to \(code)")
            return CommandFailure(.ok, "")
        } catch {
            return error
        }
    }

    @Test func `sets nothing without a rate and an end`() throws {
        #expect(
            try failure("per_address", "--for", "1m").message
                == "--rate says how many requests: 20/min, 5/s, 1000/h, or off")
        for time in ["permanent", "8d", "0s", "1w"] {
            #expect(
                try failure("per_address", "--rate", "20/min", "--for", time).message
                    == "--for says how long: 30s, 10m, 12h, at most 7d; then it is as configured")
        }
        #expect(
            try failure("per_address", "--rate", "20/min", "--for", "1m", "--burst", "0").message
                == "--burst is a number from 1 to 100000")
        #expect(try failure("per_address", "--rate", "20/min", "--for", "7d", "--burst", "5").code == .unreachable)
        #expect(try failure("/search", "--rate", "off", "--for", "1m").code == .unreachable)
    }

    @Test func `lists and restores with nothing beside`() throws {
        #expect(try failure().code == .unreachable)
        #expect(try failure("--rate", "1/s").message == "--rate needs LIMIT; without one, the limits are listed")
        #expect(try failure("per_address", "--restore").code == .unreachable)
        #expect(
            try failure("per_address", "--restore", "--for", "1m").message == "--restore goes without --for")
    }

    @Test func `says what is in force`() {
        let override: JSONValue = [
            "limit": "per_address", "rate": "20/min", "burst": 5, "reason": "attack", "actor": "uid:0",
            "ttl_seconds": 1_800, "expires_at": "2026-11-21T12:30:00.000Z",
        ]
        #expect(
            RateLimitReports.set(["rate_limit": override])
                == "per_address is 20/min, burst 5, for 30m, until 2026-11-21 12:30:00Z, on this gateway alone\n")
        let list: JSONValue = [
            "rate_limits": [
                [
                    "limit": "per_address", "per": "address", "configured": "off", "in_force": "20/min, burst 5",
                    "override": override,
                ],
                [
                    "limit": "/search", "per": "route", "configured": "10/s, burst 3", "in_force": "10/s, burst 3",
                    "override": .null,
                ],
            ]
        ]
        #expect(
            RateLimitReports.list(list) == """
                LIMIT        PER      IN FORCE         CONFIGURED     RESTORED IN  ACTOR  REASON
                per_address  address  20/min, burst 5  off            30m          uid:0  attack
                /search      route    10/s, burst 3    10/s, burst 3  -            -      -

                """)
        #expect(
            RateLimitReports.restored("per_address", ["restored": override]) == "per_address is as configured again\n")
    }
}
