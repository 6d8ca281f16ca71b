import GatewayCore
import Testing

@testable import gateway

@Suite struct `The command about threats` {
    private func threat(_ pattern: String, ended: Bool = false) -> JSONValue {
        [
            "id": "0011223344556677", "pattern": .string(pattern), "subject_kind": "network",
            "subject": "203.0.113.7", "began_at": "2026-11-21T12:00:00.000Z",
            "last_sign_at": "2026-11-21T12:03:00.000Z",
            "ended_at": ended ? "2026-11-21T12:18:00.000Z" : .null, "signs": 3, "failures": 31, "accounts": 30,
            "networks": 1, "last_address": "203.0.113.7",
        ]
    }

    private func document(_ active: [JSONValue], _ recent: [JSONValue] = [], accounts: String = "hashed") -> JSONValue {
        [
            "enabled": true, "accounts": .string(accounts), "window_seconds": 900,
            "logins": ["failures": 31, "successes": 5, "failed_networks": 1], "active": .array(active),
            "recent": .array(recent), "unlisted": 0, "webhook": ["problem": .null],
        ]
    }

    @Test func `lists those that go on and those that are over`() {
        #expect(
            ThreatText.list(document([threat("spraying")], [threat("stuffing", ended: true)])) == """
                logins of the last 15m: 31 failed from 1 networks, 5 succeeded
                STATE   PATTERN   SUBJECT      BEGAN                 LAST SIGN             FAILURES  ACCOUNTS  NETWORKS  ADDRESS
                active  spraying  203.0.113.7  2026-11-21 12:00:00Z  2026-11-21 12:03:00Z  31        30        1         203.0.113.7
                over    stuffing  203.0.113.7  2026-11-21 12:00:00Z  2026-11-21 12:03:00Z  31        30        1         203.0.113.7

                """)
    }

    @Test func `says whether a message was taken`() {
        let url: JSONValue = "https://alerts.example/in"
        #expect(ThreatText.test(["url": url, "accepted": true]) == "https://alerts.example/in took the message\n")
        #expect(
            ThreatText.test(["url": url, "accepted": false, "problem": "status 500"])
                == "https://alerts.example/in did not take the message: status 500\n")
    }

    @Test func `says what it cannot know`() {
        #expect(
            ThreatText.list(document([], accounts: "unknown")) == """
                logins of the last 15m: 31 failed from 1 networks, 5 succeeded
                no threat now
                accounts are not looked at (accounts.member): only successes after failures are told

                """)
        #expect(ThreatText.list(["enabled": false]) == "threats are not looked for (threats.enabled)\n")
    }
}
