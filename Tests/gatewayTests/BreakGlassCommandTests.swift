import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `The command of break-glass` {
    private func failure(_ words: String...) throws -> CommandFailure {
        let command = try #require(CommandTable.all.first { $0.name == "break-glass" })
        do throws(CommandFailure) {
            // Nothing answers there: what gets as far as asking fails with `unreachable`.
            let code = try command.action(try command.parse(words + ["--socket", "/tmp/there/is/no/gateway"]))
            Issue.record("it came to \(code)")
            return CommandFailure(.ok, "")
        } catch {
            return error
        }
    }

    @Test func `opens nothing that is not said in full`() throws {
        let whole = ["--for", "10m", "--allow", "10.0.0.0/8", "--reason", "keys lost"]
        func failure(without name: String) throws -> String {
            let place = try #require(whole.firstIndex(of: name))
            var words = whole
            words.removeSubrange(place...place + 1)
            let command = try #require(CommandTable.all.first { $0.name == "break-glass" })
            do throws(CommandFailure) {
                _ = try command.action(
                    try command.parse(["/admin"] + words + ["--socket", "/tmp/there/is/no/gateway"]))
                return ""
            } catch {
                return error.message
            }
        }
        #expect(try failure(without: "--for") == "--for says how long: 30s, 10m, at most 1h")
        #expect(try failure(without: "--allow").hasPrefix("--allow says who"))
        #expect(try failure(without: "--reason").hasPrefix("--reason says why"))
        for text in ["2h", "permanent", "0s", "61m", ""] {
            #expect(try self.failure("/admin", "--for", text).message == "--for says how long: 30s, 10m, at most 1h")
        }
        #expect(
            try self.failure("/admin", "--for", "1h", "--allow", "10.1.2.3/8", "--reason", "r").message
                == "\"10.1.2.3/8\" is no address or network; did you mean 10.0.0.0/8?")
        #expect(
            try self.failure("/admin", "--for", "1h", "--allow", "10.0.0.0/8", "--reason", "r").code == .unreachable)
    }

    @Test func `ends and lists without more words`() throws {
        #expect(try failure("/admin", "--end").code == .unreachable)
        #expect(try failure("/admin", "--end", "--for", "1m").message == "--end goes without --for")
        #expect(try failure().code == .unreachable)
        #expect(try failure("--end").message == "--end needs ROUTE; without one, what is open is listed")
    }

    @Test func `says what is open, to whom and until when`() {
        let one: JSONValue = [
            "route": "/admin", "allow": ["10.0.0.0/8", "192.0.2.1"], "reason": "keys lost", "actor": "uid:0",
            "since": "2026-11-21T12:00:00.123Z", "ttl_seconds": 600, "expires_at": "2026-11-21T12:10:00.123Z",
        ]
        #expect(
            BreakGlassReports.opened(["break_glass": one])
                == "/admin is OPEN WITHOUT A GOOD TOKEN to 10.0.0.0/8, 192.0.2.1 for 10m, until 2026-11-21 12:10:00Z, "
                + "on this gateway alone\n")
        #expect(
            BreakGlassReports.list(["break_glass": [one]])
                == """
                ROUTE   ENDS IN  ALLOWED                SINCE                 ACTOR  REASON
                /admin  10m      10.0.0.0/8, 192.0.2.1  2026-11-21 12:00:00Z  uid:0  keys lost

                """)
        #expect(BreakGlassReports.list(["break_glass": []]) == "no route is open without a good token\n")
        #expect(
            OperatorReports.status(["break_glass": [one]])
                .contains("BREAK-GLASS /admin  no token needed from 10.0.0.0/8, 192.0.2.1 for 10m"))
    }
}
