import Crypto
import Ledger
import Settings
import Testing
import Wire

@testable import GatewayCore
@testable import Policy

private let now = KeyHouse.now
private let soon = KeyHouse.soon
private let later = KeyHouse.later

private func census(_ requests: Int, _ live: [LiveToken] = []) -> KeyCensus {
    KeyCensus(requests: requests, lastUsed: now, lastExpiry: later, live: Set(live))
}

private let tokens = [
    LiveToken(token: 1, user: 1, expiresAt: soon), LiveToken(token: 2, user: 1, expiresAt: later),
    LiveToken(token: 3, user: 2, expiresAt: later),
]

private func verdict(_ reason: Reason?) -> TokenVerdict {
    var refusal = TokenRefusal(reason ?? .revoked)
    refusal.keyID = "main"
    refusal.subject = "alice"
    refusal.expiresAt = later
    var verdict = TokenVerdict(.refused(refusal))
    verdict.reason = reason
    return verdict
}

@Suite struct `The report of a key` {
    private func report(_ label: String, _ ring: KeyRing, _ seen: KeyCensus = KeyCensus()) throws -> JSONValue {
        KeyReports.key(try #require(ring.keys.keys.first { $0.label == label }), ring, seen, at: now)
    }

    @Test func `says all that is known of it`() throws {
        let keys = [KeyHouse.secret("main", KeyHouse.mainSecret, issuer: "https://a.example")]
        #expect(
            try report("main", KeyHouse.ring(keys: keys, used: ["main"]), census(7, tokens)) == [
                "key": "main", "source": "main", "state": "active", "until": .null, "issued_before": .null,
                "kind": "secret of 32 bytes", "algorithms": ["HS256"],
                "fingerprint": "2eeea026cdd6", "issuer": "https://a.example", "requests": 7,
                "last_used": "2026-11-29T12:00:00.000Z", "tokens": 3, "users": 2,
                "last_expiry": "2026-11-29T13:00:00.000Z",
            ])
    }

    @Test func `of a public key has its set`() throws {
        let report = try report("idp/e1", KeyHouse.ring())
        #expect(report["source"] == "idp")
        #expect(report["state"] == "verify-only")
        #expect(report["algorithms"] == ["ES256"])
        #expect(report["issuer"] == .null)
        #expect(report["last_used"] == .null)
        #expect(report["last_expiry"] == .null)
        #expect(report["tokens"] == 0)
    }

    @Test func `says until when it is retiring, or since when it is revoked`() throws {
        let retiring = try report("main", KeyHouse.ring([KeyHouse.record("main", from: soon)]))
        #expect(retiring["state"] == "retiring")
        #expect(retiring["until"] == "2026-11-29T12:01:00.000Z")
        let revoked = try report("idp/e1", KeyHouse.ring([KeyHouse.record("idp")]))
        #expect(revoked["state"] == "revoked")
        #expect(revoked["until"] == "2026-11-29T12:00:00.000Z")
    }

    @Test func `has a fingerprint that two replicas share, and two keys do not`() throws {
        let one = KeyHouse.ring()
        let two = KeyHouse.ring(keys: [KeyHouse.secret("other", KeyHouse.mainSecret)])
        let print = try report("main", one)["fingerprint"]
        #expect(print == (try report("other", two)["fingerprint"]))
        #expect(print != (try report("next", one)["fingerprint"]))
    }

    @Test func `never has a secret, in any report`() throws {
        let ring = KeyHouse.ring(used: ["main"])
        var texts: [String] = []
        for key in ring.keys.keys {
            texts.append(KeyReports.key(key, ring, census(3, tokens), at: now).text)
            texts.append(KeyReports.proof(key, ring.state(of: key, at: now), .some(verdict(nil)), at: now).text)
            texts.append("\(key) \(String(reflecting: key))")
        }
        let step = KeyStep(name: "main", action: .revoke, reason: "r")
        texts.append(
            KeyReports.Effect(step, ring, live: Set(tokens), end: now, at: now).report(decider: nil, isDry: true).text)
        texts.append(AdminProblem.noSuchKey("x", ring.keys.keys.map(\.label)).response.text)
        for secret in [KeyHouse.mainSecret, KeyHouse.nextSecret] {
            let hidden = [
                secret, Base64URL.encode(Array(secret.utf8).span),
                Array(secret.utf8).map(\.description).joined(separator: ", "),
            ]
            for text in texts { for form in hidden { #expect(!text.contains(form), "\(text)") } }
        }
    }
}

extension AdminResponse {
    fileprivate var text: String { String(decoding: body, as: UTF8.self) }
}

@Suite struct `The report of a step` {
    private func report(
        _ action: KeyStep.Action, end: WallTime?, _ revocations: [RevocationRecord] = [], name: String = "main",
        keys: [Configuration.Tokens.Key] = KeyHouse.all, isDry: Bool = false, decider: Decider? = .authority
    ) -> JSONValue {
        let step = KeyStep(name: name, action: action, reason: "r", isDry: isDry)
        return KeyReports.Effect(step, KeyHouse.ring(revocations, keys: keys), live: Set(tokens), end: end, at: now)
            .report(decider: decider, isDry: isDry)
    }

    @Test func `says whom it cuts off, and what is accepted then`() {
        #expect(
            report(.retire(.at(soon)), end: soon, [KeyHouse.record("idp/o1", from: soon)]) == [
                "key": "main", "refused_from": "2026-11-29T12:01:00.000Z", "tokens_cut": 2, "users_cut": 2,
                "last_expiry": "2026-11-29T13:00:00.000Z", "other_keys": ["next", "idp/e1"],
                "other_keys_until": [.null, .null], "replaces_issued_before": .null, "same_material": [],
                "not_taken_back": [], "stays": false, "dry_run": false, "decided_by": "authority",
            ])
    }

    @Test func `says until when the others are accepted, where an end is known`() {
        let report = report(.retire(.at(soon)), end: soon, [KeyHouse.record("next", from: later)])
        #expect(report["other_keys"] == ["next", "idp/e1", "idp/o1"])
        #expect(report["other_keys_until"] == ["2026-11-29T13:00:00.000Z", .null, .null])
    }

    @Test func `that revokes says what it takes the place of`() {
        let dated = KeyHouse.record("main", .issuedBefore(soon))
        #expect(report(.revoke, end: now, [dated])["replaces_issued_before"] == "2026-11-29T12:01:00.000Z")
        #expect(report(.rollback, end: nil, [dated])["replaces_issued_before"] == .null)
    }

    @Test func `that takes a key away which the configuration has says that it stays`() {
        #expect(report(.remove, end: nil)["stays"] == true)
        #expect(report(.remove, end: now)["stays"] == false)
    }

    @Test func `cuts nobody off who would have expired by then`() {
        let retired = report(.retire(.at(later)), end: later)
        #expect(retired["tokens_cut"] == 0)
        #expect(retired["users_cut"] == 0)
        #expect(report(.revoke, end: now)["tokens_cut"] == 3)
        #expect(report(.revoke, end: now)["users_cut"] == 2)
    }

    @Test func `that is only tried says so, and that nobody decided`() {
        let dry = report(.revoke, end: now, isDry: true, decider: nil)
        #expect(dry["dry_run"] == true)
        #expect(dry["decided_by"] == .null)
    }

    @Test func `names other keys of the same material`() {
        let keys = [KeyHouse.all[0], KeyHouse.secret("copy", KeyHouse.mainSecret)]
        #expect(report(.revoke, end: now, keys: keys)["same_material"] == ["copy"])
        #expect(report(.rollback, end: nil, keys: keys)["same_material"] == [])
    }

    @Test func `that takes back cuts nobody off, and says which keys of the entry it leaves`() {
        let back = report(.rollback, end: nil, [KeyHouse.record("idp"), KeyHouse.record("idp/e1")], name: "idp")
        #expect(back["refused_from"] == .null)
        #expect(back["tokens_cut"] == 0)
        #expect(back["not_taken_back"] == ["idp/e1"])
        #expect(report(.rollback, end: nil, [KeyHouse.record("main")])["not_taken_back"] == [])
    }
}

@Suite struct `The census of a key` {
    @Test func `adds up what the workers have seen, each token once`() throws {
        var one = KeyUsage(key: "main")
        one.requests = 3
        one.lastUsed = now
        one.live = [tokens[0], tokens[1]]
        var two = KeyUsage(key: "main")
        two.requests = 4
        two.lastUsed = soon
        two.lastExpiry = later
        two.live = [tokens[1], tokens[2]]
        let sum = KeyCensus.sum([.usage([one, KeyUsage(key: "next")]), .usage([two]), .verdicts([])])
        let main = try #require(sum["main"])
        #expect(main.requests == 7)
        #expect(main.lastUsed == soon)
        #expect(main.lastExpiry == later)
        #expect(main.live == Set(tokens))
        #expect(main.live.users == 2)
        #expect(sum["next"]?.requests == 0)
        #expect(sum["next"]?.lastUsed == nil)
        #expect(KeyCensus.sum([]).isEmpty)
    }
}

@Suite struct `The proof of a key` {
    private func proof(_ state: KeyState, _ verdict: TokenVerdict??) throws -> JSONValue {
        KeyReports.proof(try #require(KeyHouse.ring().keys.keys.first), state, verdict, at: now)
    }

    @Test func `is as expected when its tokens get what its state demands`() throws {
        let good = try proof(.active, .some(verdict(nil)))
        #expect(
            good == ["key": "main", "state": "active", "result": "accepted", "reason": .null, "as_expected": true])
        #expect(try proof(.retiring(until: soon), .some(verdict(nil)))["as_expected"] == true)
        let gone = try proof(.revoked(since: now), .some(verdict(.revoked)))
        #expect(
            gone == ["key": "main", "state": "revoked", "result": "refused", "reason": "revoked", "as_expected": true])
    }

    @Test func `is not as expected when they get something else`() throws {
        #expect(try proof(.active, .some(verdict(.revoked)))["as_expected"] == false)
        #expect(try proof(.active, .some(verdict(.wrongIssuer)))["as_expected"] == false)
        #expect(try proof(.revoked(since: now), .some(verdict(nil)))["as_expected"] == false)
        let other = try proof(.revoked(since: now), .some(verdict(.invalidSignature)))
        #expect(other["as_expected"] == false, "refused, but not for this")
        #expect(other["reason"] == "invalid_signature")
    }

    @Test func `is none where workers differ or no token can be made`() throws {
        let unknown = try proof(.active, .some(nil))
        #expect(unknown["result"] == "unknown")
        #expect(unknown["as_expected"] == false)
        let untried = try proof(.active, nil)
        #expect(untried["result"] == "not_tried")
        #expect(untried["as_expected"] == .null)
    }

    @Test func `is what all workers say alike`() {
        let (good, bad) = (verdict(nil), verdict(.revoked))
        #expect(KeyReports.agreed([.verdicts([good, bad]), .verdicts([good, bad])], 1, workers: 2) == bad)
        #expect(KeyReports.agreed([.verdicts([good]), .verdicts([bad])], 0, workers: 2) == nil)
        #expect(KeyReports.agreed([.verdicts([good])], 0, workers: 2) == nil, "one hangs")
        #expect(KeyReports.agreed([.verdicts([]), .verdicts([])], 0, workers: 2) == nil)
        #expect(KeyReports.agreed([], 0, workers: 0) == nil)
    }

    @Test func `of one token says what it is told`() {
        #expect(
            KeyReports.verdict(verdict(nil)) == [
                "result": "accepted", "reason": .null, "key": "main", "subject": "alice",
                "expires_at": "2026-11-29T13:00:00.000Z",
            ])
        #expect(KeyReports.verdict(verdict(.revoked))["result"] == "refused")
        #expect(KeyReports.verdict(verdict(.revoked))["reason"] == "revoked")
        #expect(
            KeyReports.verdict(nil)
                == ["result": "unknown", "detail": "the workers do not agree, or do not answer"])
    }
}

@Suite struct `A problem with keys` {
    @Test func `names the keys that there are`() {
        let problem = AdminProblem.noSuchKey("mian", ["main", "idp/e1"])
        #expect(problem.status == 404)
        #expect(problem.detail == "no key is called \"mian\"; there are main, idp/e1")
        #expect(AdminProblem.noSuchKey("x", []).detail == "no key is called \"x\"; there are none")
        let long = String(repeating: "k", count: 100)
        #expect(AdminProblem.noSuchKey(long, []).detail == "no key is called \"\(long.prefix(64))\"; there are none")
    }
}
