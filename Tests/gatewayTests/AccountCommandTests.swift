import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `The commands about accounts` {
    /// Nothing answers there: what gets as far as asking fails with `unreachable`.
    private func failure(_ words: String...) throws -> CommandFailure {
        let command = try #require(CommandTable.all.first { $0.name == words[0] })
        do throws(CommandFailure) {
            let call = try command.parse(words.dropFirst() + ["--socket", "/tmp/there/is/no/gateway"])
            let code = try command.action(call)
            Issue.record("it came to \(code)")
            return CommandFailure(.ok, "")
        } catch {
            return error
        }
    }

    @Test func `unlock exactly one thing`() throws {
        for words in [["unlock"], ["unlock", "alice", "--all"], ["unlock", "alice", "--hash", "ab"]] {
            let command = try #require(CommandTable.all.first { $0.name == "unlock" })
            #expect(throws: CommandFailure.self) { _ = try command.action(try command.parse(Array(words.dropFirst()))) }
        }
        #expect(try failure("unlock").code == .usage)
        #expect(try failure("unlock", "alice").code == .unreachable)
        #expect(try failure("unlock", "alice", "--from", "203.0.113.0/24").code == .unreachable)
        #expect(try failure("unlock", "--all").code == .unreachable)
        #expect(try failure("unlock", "alice", "--from", "203.0.113.9/24").code == .usage)
        #expect(try failure("locks", "--limit", "0").message == "--limit is a number from 1 to 10000")
    }

    private let lock: JSONValue = [
        "account": "0123456789abcdef0000000000000001", "from": "203.0.113.7", "failures": 5, "reason": "failed_logins",
        "actor": "gateway", "since": "2026-11-21T12:00:00.000Z", "expires_at": "2026-11-21T12:30:00.000Z",
        "ttl_seconds": 1_800, "permanent": false,
    ]

    @Test func `say what was unlocked`() {
        #expect(
            AccountReports.unlocked(["account": "ab", "unlocked": [lock]])
                == "0123456789abcdef0000000000000001 is unlocked for 203.0.113.7\n")
        #expect(
            AccountReports.unlocked(["account": "ab", "unlocked": []])
                == "the account was not locked; what failed of it is forgotten\n")
        #expect(
            AccountReports.unlocked(["account": .null, "unlocked": [], "decided_by": "local"])
                == "no account was locked; what failed of it is forgotten\n"
                + "(Redis is away: other replicas follow when it is back)\n")
    }

    @Test func `list what is locked`() {
        #expect(AccountReports.list(["count": 0, "locks": []]) == "no account is locked\n")
        let text = AccountReports.list(["count": 3, "locks": [lock]])
        #expect(text.contains("ACCOUNT") && text.contains("0123456789abcdef0000000000000001  203.0.113.7"))
        #expect(text.hasSuffix("and 2 more; --limit shows up to 10000\n"))
    }
}
