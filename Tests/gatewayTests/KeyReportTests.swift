import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `What people read of keys` {
    private func document(_ text: String) throws -> JSONValue { try JSONValue.read(Array(text.utf8)) }

    @Test func `is a table of them`() throws {
        let answer = try document(
            #"""
            {"keys":[
              {"key":"main","source":"main","state":"retiring","until":"2026-11-30T12:00:00.000Z","algorithms":["HS256"],
               "fingerprint":"2eeea026cdd6","requests":81240,"last_used":"2026-11-29T11:57:11.020Z","tokens":1312,
               "users":1190,"last_expiry":"2026-11-29T12:57:11.000Z"},
              {"key":"idp/a\u001b[31m","source":"idp","state":"verify-only","until":null,
               "algorithms":["RS256","PS256"],"fingerprint":"7fe34dbf6abe","requests":0,"last_used":null,"tokens":0,"users":0,"last_expiry":null},
              {"key":"old","source":"old","state":"revoked","until":"2026-11-28T12:00:00.000Z","algorithms":["HS256"],
               "fingerprint":"0123456789ab","requests":7,"last_used":"2026-11-28T11:57:11.020Z","tokens":0,"users":0,
               "last_expiry":"2026-11-28T12:57:11.000Z"}]}
            """#)
        #expect(
            KeyReports.list(answer) == """
                KEY         STATE                                ALGORITHMS   FINGERPRINT   \
                REQUESTS  LAST USED             TOKENS  USERS  LAST EXPIRES
                main        retiring until 2026-11-30 12:00:00Z  HS256        2eeea026cdd6  \
                81240     2026-11-29 11:57:11Z  1312    1190   2026-11-29 12:57:11Z
                idp/a\u{fffd}[31m  verify-only                          RS256,PS256  7fe34dbf6abe  \
                0         never                 0       0      never
                old         revoked                              HS256        0123456789ab  \
                7         2026-11-28 11:57:11Z  0       0      2026-11-28 12:57:11Z
                Requests, tokens and users are those of this gateway since it started.

                """)
        #expect(KeyReports.list(["keys": []]) == "there are no keys\n")
    }

    private func stepped(
        from: JSONValue = "2026-11-30T12:00:00.000Z", tokens: Int = 0, users: Int = 0, last: JSONValue = .null,
        others: JSONValue = ["next"], twins: JSONValue = [], left: JSONValue = [], isDry: Bool = false,
        decidedBy: JSONValue = "authority"
    ) -> String {
        KeyReports.stepped([
            "key": "main", "refused_from": from, "tokens_cut": .integer(tokens), "users_cut": .integer(users),
            "last_expiry": last, "other_keys": others, "same_material": twins, "not_taken_back": left,
            "dry_run": .boolean(isDry), "decided_by": decidedBy,
        ])
    }

    @Test func `says what a step does to whom`() {
        #expect(
            stepped() == """
                main is refused from 2026-11-30 12:00:00Z on; no token that was seen here is cut off
                still accepted: next

                """)
        #expect(
            stepped(tokens: 12, users: 3, last: "2026-11-30T13:00:00.000Z", others: ["next", "idp/e1"]) == """
                main is refused from 2026-11-30 12:00:00Z on; 12 tokens of 3 users seen here are cut off before they \
                expire (the last one 2026-11-30 13:00:00Z)
                still accepted: next, idp/e1

                """)
        #expect(
            stepped(tokens: 1, users: 1, last: "2026-11-30T13:00:00.000Z", others: []) == """
                main is refused from 2026-11-30 12:00:00Z on; 1 token of 1 user seen here is cut off before it \
                expires (the last one 2026-11-30 13:00:00Z)
                no other key is accepted then

                """)
    }

    @Test func `says what would come of a step that is only tried`() {
        #expect(
            stepped(tokens: 2, users: 1, isDry: true, decidedBy: .null) == """
                main would be refused from 2026-11-30 12:00:00Z on; 2 tokens of 1 user seen here are cut off before \
                they expire
                still accepted: next

                """)
        #expect(stepped(from: .null, isDry: true, decidedBy: .null) == "main would be accepted again\n")
    }

    @Test func `says what a step does not reach`() {
        #expect(
            stepped(twins: ["copy", "b/r1"], decidedBy: "local") == """
                main is refused from 2026-11-30 12:00:00Z on; no token that was seen here is cut off
                still accepted: next
                the same key is also called copy, b/r1, which this does not touch
                (Redis is away: other replicas follow when it is back)

                """)
        #expect(stepped(from: .null) == "main is accepted again\n")
        #expect(
            stepped(from: .null, left: ["idp/e1", "idp/o1"]) == """
                main is accepted again
                not taken back, since it was said of them alone: idp/e1, idp/o1

                """)
    }

    @Test func `is a table of proofs`() throws {
        let answer = try document(
            #"""
            {"proofs":[
              {"key":"main","state":"active","result":"accepted","reason":null,"as_expected":true},
              {"key":"old","state":"revoked","result":"refused","reason":"revoked","as_expected":true},
              {"key":"odd","state":"active","result":"refused","reason":"wrong_issuer","as_expected":false},
              {"key":"torn","state":"active","result":"unknown","reason":null,"as_expected":false},
              {"key":"idp/e1","state":"verify-only","result":"not_tried","reason":null,"as_expected":null}]}
            """#)
        #expect(
            KeyReports.proofs(answer) == """
                KEY     STATE        A TOKEN OF IT IS
                main    active       accepted
                old     revoked      refused (revoked)
                odd     active       refused (wrong_issuer)                                 NOT AS EXPECTED
                torn    active       unknown                                                NOT AS EXPECTED
                idp/e1  verify-only  not tried: only its issuer can sign; use --token-file

                """)
        #expect(KeyReports.proofs(["proofs": []]) == "there are no keys\n")
    }

    @Test func `is the verdict about one token`() throws {
        func text(_ verdict: String) throws -> String { KeyReports.verdict(try document(#"{"verdict":\#(verdict)}"#)) }
        #expect(
            try text(
                #"""
                {"result":"accepted","reason":null,"key":"main","subject":"al\u202eice",
                 "expires_at":"2026-11-29T13:00:00.000Z"}
                """#) == "the token is accepted, key main, user al\u{fffd}ice, expires 2026-11-29 13:00:00Z\n")
        #expect(
            try text(#"{"result":"refused","reason":"revoked","key":"main","subject":"alice","expires_at":null}"#)
                == "the token is refused: revoked, key main, user alice\n")
        #expect(
            try text(#"{"result":"refused","reason":"invalid_token","key":null,"subject":null,"expires_at":null}"#)
                == "the token is refused: invalid_token\n")
        #expect(
            try text(#"{"result":"unknown","detail":"the workers do not agree, or do not answer"}"#)
                == "the token is unknown: the workers do not agree, or do not answer\n")
    }
}

@Suite struct `A proof of keys` {
    @Test func `fails where one is not as expected, whatever is printed`() {
        func code(_ words: JSONValue...) -> ExitCode {
            KeyCommands.proof(of: ["proofs": .array(words.map { ["as_expected": $0] })])
        }
        #expect(code() == .ok)
        #expect(code(true, .null) == .ok)
        #expect(code(true, false) == .failed)
        #expect(code(true, "yes") == .failed)
        #expect(KeyCommands.proof(of: [:]) == .failed)
    }

    @Test func `of one token fails where it is told something else`() {
        func code(_ result: JSONValue, _ expected: String) -> ExitCode {
            KeyCommands.proof(of: ["verdict": ["result": result]], expecting: expected)
        }
        #expect(code("accepted", "accepted") == .ok)
        #expect(code("refused", "refused") == .ok)
        #expect(code("accepted", "refused") == .failed)
        #expect(code("refused", "accepted") == .failed)
        #expect(code("unknown", "refused") == .failed)
        #expect(code(.null, "refused") == .failed)
    }
}

@Suite struct `The commands about keys` {
    private func failure(_ words: String...) -> String? { failure(words) }

    private func failure(_ words: [String]) -> String? {
        guard let command = CommandTable.all.first(where: { $0.name == words[0...1].joined(separator: " ") }) else {
            return "there is no such command"
        }
        do throws(CommandFailure) {
            _ = try command.action(try command.parse(Array(words.dropFirst(2))))
            return nil
        } catch {
            #expect(error.code == .usage)
            return error.message
        }
    }

    @Test func `ask back before anything is done`() {
        let when = "say when: --in TIME or --at TIME\nusage: gateway keys retire KEY --in 24h"
        #expect(failure("keys", "retire", "main") == when)
        #expect(
            failure("keys", "retire", "main", "--in", "1h", "--at", "2026-11-29T07:00:00Z")
                == "either --in or --at, not both")
        #expect(
            failure("keys", "retire", "main", "--at", "tomorrow")
                == "--at \"tomorrow\" is no time; write 2026-11-29T07:00:00Z, in UTC")
        #expect(failure("keys", "retire", "main", "--in", "366d") == "--in is at most 365d")
        for text in ["permanent", "24", "0h", "-1h", "1w", ""] {
            #expect(
                failure("keys", "retire", "main", "--in", text) == "--in \"\(text)\" is no time; write 30m, 12h or 7d")
        }
        #expect(failure("keys", "verify", "--expect", "refused") == "--expect is about a --token-file")
        let file = ["keys", "verify", "--token-file"]
        #expect(failure(file + ["/dev/null", "--expect", "no"]) == "--expect is accepted or refused")
        #expect(failure(file + ["/dev/null"]) == "/dev/null does not hold a JWT")
        #expect(failure(file + ["/there/is/no/file"]) == "/there/is/no/file: No such file or directory")
        #expect(failure("keys", "revoke")?.hasPrefix("KEY is missing\n") == true)
        #expect(failure("keys", "revoke", "main", "next")?.hasPrefix("\"next\" is one word too many\n") == true)
        #expect(failure("keys", "revoke", "main", "--in", "1h")?.hasPrefix("there is no option --in") == true)
        #expect(failure("keys", "rollback", "main", "--reason", "x")?.hasPrefix("there is no option --reason") == true)
    }
}
