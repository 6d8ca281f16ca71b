import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `The commands about lockdowns` {
    /// Nothing answers there: what gets as far as asking fails with `unreachable`.
    private static let nowhere = ["--socket", "/tmp/there/is/no/gateway"]

    private func failure(_ name: String, _ words: String...) throws -> CommandFailure {
        let command = try #require(CommandTable.all.first { $0.name == name })
        do throws(CommandFailure) {
            let code = try command.action(try command.parse(words + Self.nowhere))
            Issue.record("it came to \(code)")
            return CommandFailure(.ok, "")
        } catch {
            return error
        }
    }

    @Test func `close nothing without an end`() throws {
        #expect(
            try failure("lockdown", "/admin").message
                == "--for says how long: 30s, 10m, 12h, at most 7d; a lockdown always has an end")
        for text in ["permanent", "8d", "169h", "0s", "1w", ""] {
            #expect(
                try failure("lockdown", "/admin", "--for", text).message
                    == "\"\(text)\" is no time to close a route for; write 30s, 10m, 12h, at most 7d")
        }
        #expect(try failure("lockdown", "/admin", "--for", "7d").code == .unreachable)
        #expect(try failure("lockdown", "--for", "7d").message.hasPrefix("ROUTE is missing\n"))
    }

    @Test func `name networks with commas between them`() throws {
        func allow(_ list: String) throws -> CommandFailure {
            try failure("lockdown", "/admin", "--for", "1m", "--allow", list)
        }
        #expect(try allow("10.0.0.0/8,192.0.2.1,2001:db8::/32").code == .unreachable)
        #expect(try allow("10.1.2.3/8").message == "\"10.1.2.3/8\" is no address or network; did you mean 10.0.0.0/8?")
        #expect(try allow("10.0.0.0/8,").code == .usage)
        #expect(try allow("").code == .usage)
    }

    @Test func `say what is closed, to whom and until when`() throws {
        var lockdown: JSONValue = [
            "route": "/admin", "allow": ["10.0.0.0/8", "192.0.2.1"], "reason": "leak", "actor": "uid:0",
            "since": "2026-11-21T12:00:00.123Z", "ttl_seconds": 1_800, "expires_at": "2026-11-21T12:30:00.123Z",
        ]
        #expect(
            LockdownReports.lockedDown(["lockdown": lockdown, "decided_by": "authority"])
                == "/admin is closed to all but 10.0.0.0/8, 192.0.2.1 for 30m, until 2026-11-21 12:30:00Z\n")
        #expect(
            LockdownReports.lockdowns(["lockdowns": [lockdown]])
                == """
                ROUTE   OPENS IN  ALLOWED                SINCE                 ACTOR  REASON
                /admin  30m       10.0.0.0/8, 192.0.2.1  2026-11-21 12:00:00Z  uid:0  leak

                """)
        #expect(
            OperatorReports.status([
                "lockdowns": [lockdown], "configuration": ["loaded_at": "2026-11-21T12:00:00.123Z"],
            ]).contains("\nclosed /admin  for 30m, until 2026-11-21 12:30:00Z\n"))
        lockdown = ["route": "/a\u{1b}", "allow": [], "ttl_seconds": .null, "expires_at": .null]
        #expect(
            LockdownReports.lockedDown(["lockdown": lockdown, "decided_by": "local"])
                == "/a\u{fffd} is closed to everybody until somebody opens it\n"
                + "(Redis is away: other replicas follow when it is back)\n")
        #expect(LockdownReports.lockdowns(["lockdowns": []]) == "no route is closed\n")
    }

    @Test func `say what is open again`() {
        #expect(
            LockdownReports.reopened("/admin", ["lifted": ["route": "/admin"], "decided_by": "authority"])
                == "/admin is open again\n")
        #expect(
            LockdownReports.reopened("/admin", ["lifted": .null, "decided_by": "authority"])
                == "/admin was not closed\n")
    }
}
