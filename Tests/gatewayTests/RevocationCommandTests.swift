import GatewayCore
import Glibc
import Testing
import Wire

@testable import gateway

/// A file that is gone with the test.
private final class TemporaryFile {
    let path: String

    init(_ bytes: [UInt8]) {
        var template = Array("/tmp/gateway-token-XXXXXX".utf8CString)
        let descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }

    deinit { unlink(path) }
}

@Suite struct `The commands about revocations` {
    private static let kinds = "one of: --sub USER | --jti ID | --role ROLE | --key KEY | --iss ISSUER"

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

    @Test func `ask what is meant where that is not said, or said twice`() throws {
        let revoke = "what is to be revoked is not said, or said twice\n\(Self.kinds)"
        #expect(try failure("revoke").message == revoke)
        #expect(try failure("revoke", "--reason", "x").message == revoke)
        #expect(try failure("revoke", "--sub", "a", "--role", "b").message == revoke)
        let unrevoke = "what is to be taken back is not said, or said twice\n\(Self.kinds)"
        #expect(try failure("unrevoke").message == unrevoke)
        #expect(try failure("unrevoke", "--sub", "a", "--key", "b").message == unrevoke)
        #expect(try failure("unrevoke").code == .usage)
        #expect(try failure("revoke", "--sub", "a", "--sub", "b").message.hasPrefix("--sub stands twice\n"))
        #expect(try failure("revoke", "alice").message.hasPrefix("\"alice\" is one word too many\n"))
        #expect(try failure("revoke", "--user", "alice").message.hasPrefix("there is no option --user\n"))
        #expect(try failure("unrevoke", "--issued-before", "now").code == .usage)
        #expect(try failure("revocations", "--limit", "0").message == "--limit is a number from 1 to 10000")
        #expect(try failure("revocations", "--limit", "10001").code == .usage)
    }

    @Test(arguments: ["", "0s", "5", "1w", "3651d", "forever", "-1s", "1.5h"])
    func `take no other text for a length of time`(text: String) throws {
        #expect(
            try failure("revoke", "--sub", "a", "--for", text).message
                == "\"\(text)\" is no time; write 30s, 10m, 12h, 7d (at most 3650d) or permanent")
    }

    @Test(arguments: ["30s", "10m", "12h", "3650d", "permanent"])
    func `ask the gateway when all is said`(text: String) throws {
        #expect(try failure("revoke", "--sub", "a", "--for", text, "--issued-before", "now").code == .unreachable)
        #expect(try failure("unrevoke", "--iss", "https://a/?b#c d\n").code == .unreachable)
        #expect(try failure("revocations").code == .unreachable)
    }

    // MARK: A token in a file

    private static let header = "eyJhbGciOiJIUzI1NiJ9"
    /// `{"jti":"j-1"}`
    private static let token = "\(header).eyJqdGkiOiJqLTEifQ.c2lnbmF0dXJl"

    @Test func `take a token from a file, pasted as it may be`() throws {
        for text in [Self.token, "\(Self.token)\n", "Bearer \(Self.token)\r\n"] {
            let file = TemporaryFile(Array(text.utf8))
            #expect(try failure("revoke", "--token-file", file.path).code == .unreachable)
        }
        let file = TemporaryFile(Array(Self.token.utf8))
        #expect(
            try failure("revoke", "--token-file", file.path, "--sub", "a").message
                == "--token-file says by itself what is revoked\n\(Self.kinds)")
        #expect(
            try failure("revoke", "--token-file", file.path, "--issued-before", "now").message
                == "--issued-before says nothing of one token\n\(Self.kinds)")
    }

    @Test func `never print a token, whatever is wrong with it`() throws {
        let payloads = [
            // {"sub":"alice"}, {"jti":"j","exp":1000}, {"jti":"a","jti":"b"}, no JSON, nothing
            "eyJzdWIiOiJhbGljZSJ9", "eyJqdGkiOiJqIiwiZXhwIjoxMDAwfQ", "eyJqdGkiOiJhIiwianRpIjoiYiJ9", "bm9uc2Vuc2U", "",
        ]
        for payload in payloads {
            let token = "\(Self.header).\(payload).c2lnbmF0dXJl"
            for text in [
                token, "Authorization: Bearer \(token)", "\(token) \(token)", "{\"access_token\":\"\(token)\"}",
            ] {
                let file = TemporaryFile(Array(text.utf8))
                let found = try failure("revoke", "--token-file", file.path)
                #expect(found.code == .usage)
                for part in [Self.header, "c2lnbmF0dXJl"] + (payload.isEmpty ? [] : [payload]) {
                    #expect(!found.message.contains(part), "\(found.message)")
                }
            }
        }
    }

    @Test func `say what is wrong with a token`() throws {
        func message(_ payload: String) throws -> (String, String) {
            let file = TemporaryFile(Array("\(Self.header).\(payload).c2ln".utf8))
            return (try failure("revoke", "--token-file", file.path).message, file.path)
        }
        #expect(
            try message("eyJzdWIiOiJhbGljZSJ9").0
                == "the token has no jti that it could be revoked by; revoke its user's instead: "
                + "--sub USER --issued-before now")
        #expect(try message("eyJqdGkiOiJqIiwiZXhwIjoxMDAwfQ").0 == "the token has expired at 1970-01-01T00:16:40.000Z")
        let (text, path) = try message("bm9uc2Vuc2U")
        #expect(text == "\(path) does not hold a JWT")
    }

    /// `{"jti":"j","exp":99999999999}` and the same in milliseconds: the year 5138, and none at all.
    @Test(arguments: ["eyJqdGkiOiJqIiwiZXhwIjo5OTk5OTk5OTk5OX0", "eyJqdGkiOiJqIiwiZXhwIjoxNzAwMDAwMDAwMDAwfQ"])
    func `do not fall over a token that never ends`(payload: String) throws {
        let file = TemporaryFile(Array("\(Self.header).\(payload).c2ln".utf8))
        #expect(try failure("revoke", "--token-file", file.path).code == .unreachable)
    }

    @Test(arguments: [
        [], [0], [10], Array("Bearer".utf8), [0xff, 0xfe, 0x65, 0], [0xef, 0xbb, 0xbf],
        [UInt8](repeating: 0x2e, count: 3), [UInt8](repeating: 0x41, count: 3 << 20),
        Array(".".utf8) + [0xff, 0xff] + Array(".".utf8),
    ])
    func `take no garbage for a token`(bytes: [UInt8]) throws {
        let file = TemporaryFile(bytes)
        #expect(try failure("revoke", "--token-file", file.path).message == "\(file.path) does not hold a JWT")
    }

    @Test func `say which file cannot be read, and do not take the token for its name`() throws {
        #expect(
            try failure("revoke", "--token-file", "/there/is/no/file").message
                == "/there/is/no/file: No such file or directory")
        #expect(try failure("revoke", "--token-file", "/tmp").message == "/tmp: Is a directory")
        #expect(
            try failure("revoke", "--token-file", Self.token).message
                == "--token-file is the name of a file, not the token; - is standard input")
    }
}

@Suite struct `What people read of revocations` {
    private func document(_ text: String) throws -> JSONValue { try JSONValue.read(Array(text.utf8)) }

    @Test func `says what is refused, and until when`() throws {
        func text(_ revocation: String, by decider: String = "authority") throws -> String {
            RevocationReports.revoked(try document("{\"revocation\":\(revocation),\"decided_by\":\"\(decider)\"}"))
        }
        #expect(
            try text(#"{"kind":"sub","name":"alice","issued_before":null,"ttl_seconds":null}"#)
                == "every token of sub alice is refused from now on, until somebody takes it back\n")
        #expect(
            try text(#"{"kind":"role","name":"admin","issued_before":"2026-11-29T07:00:00.123Z","ttl_seconds":3600}"#)
                == "every token of role admin that was issued before 2026-11-29 07:00:00Z is refused from now on for 1h\n"
        )
        #expect(
            try text(#"{"kind":"jti","name":"a\nb\u001b[31m","ttl_seconds":420}"#)
                == "the token with jti a\u{fffd}b\u{fffd}[31m is refused from now on for 7m\n")
        #expect(
            try text(#"{"kind":"key","name":"idp/one"}"#, by: "local") == """
                every token of key idp/one is refused from now on, until somebody takes it back
                (Redis is away: other replicas follow when it is back)

                """)
    }

    @Test func `says what is accepted again, and what was not revoked`() throws {
        let alice = RevocationCommands.Target(kind: "sub", name: "alice")
        #expect(
            RevocationReports.unrevoked(
                alice, try document(#"{"lifted":{"kind":"sub","name":"alice"},"decided_by":"authority"}"#))
                == "every token of sub alice is accepted again\n")
        #expect(
            RevocationReports.unrevoked(alice, try document(#"{"lifted":null,"decided_by":"authority"}"#))
                == "sub alice was not revoked\n")
        let odd = RevocationCommands.Target(kind: "iss", name: "a\u{7}")
        #expect(
            RevocationReports.unrevoked(odd, try document(#"{"lifted":null,"decided_by":"local"}"#)) == """
                iss a\u{fffd} was not revoked
                (Redis is away: other replicas follow when it is back)

                """)
    }

    @Test func `lists what is revoked`() throws {
        #expect(RevocationReports.revocations(["count": 0, "revocations": []]) == "nothing is revoked\n")
        let answer = try document(
            #"""
            {"count":4,"truncated":true,"revocations":[
              {"kind":"sub","name":"alice","issued_before":"2026-11-29T07:00:00.123Z","reason":"stolen laptop",
               "actor":"uid:0 (claims bob)","origin":"command","since":"2026-11-29T07:00:01.000Z","ttl_seconds":252},
              {"kind":"jti","name":"3f\n2c","issued_before":null,"reason":"set by hand","actor":"redis",
               "origin":"by_hand","since":"2026-11-29T06:00:00.000Z","ttl_seconds":null}]}
            """#)
        #expect(
            RevocationReports.revocations(answer) == """
                WHAT  NAME   ISSUED BEFORE         EXPIRES IN  SINCE                 ACTOR               REASON
                sub   alice  2026-11-29 07:00:00Z  4m 12s      2026-11-29 07:00:01Z  uid:0 (claims bob)  stolen laptop
                jti   3f\u{fffd}2c  any time              never       2026-11-29 06:00:00Z  redis               set by hand
                and 2 more; --limit shows up to 10000

                """)
    }
}
