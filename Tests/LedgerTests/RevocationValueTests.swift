import Policy
import Testing
import Wire

@testable import Ledger

private func read(_ text: String) -> RevocationValue { RevocationValue(Array(text.utf8)) }

/// What is understood of a value that is not ours.
private struct Meaning: Equatable {
    var cutoff = RevocationCutoff.everyToken
    var from: WallTime?
    var isSigned = false
}

private func meaning(_ text: String) -> Meaning {
    let value = read(text)
    return Meaning(cutoff: value.cutoff, from: value.from, isSigned: value.signature != nil)
}

@Suite struct `The value of a revocation` {
    private let since = WallTime(milliseconds: 1_795_936_156_125)

    private func record(
        cutoff: RevocationCutoff = .everyToken, from: WallTime? = nil, reason: String = "stolen laptop",
        actor: String = "alice"
    ) -> RevocationRecord {
        RevocationRecord(
            target: RevocationTarget(.subject, "bob")!, cutoff: cutoff, from: from, origin: .command, reason: reason,
            actor: actor, since: since, deadline: .never)
    }

    @Test func `is short enough to read in redis-cli`() {
        #expect(
            RevocationValue(record()).text
                == #"{"by":"alice","reason":"stolen laptop","at":"2026-11-29T07:09:16.125Z"}"#)
        let time = WallTime(milliseconds: 1_795_936_156_123)
        #expect(
            RevocationValue(record(cutoff: .issuedBefore(time), from: since)).text
                == #"{"by":"alice","reason":"stolen laptop","issued_before":"2026-11-29T07:09:16.123Z","#
                + #""from":"2026-11-29T07:09:16.125Z","at":"2026-11-29T07:09:16.125Z"}"#)
    }

    @Test(arguments: [
        ("stolen", "alice"), ("", ""), (#"a "quoted" \ one"#, #"\"#), ("line\nbreak\ttab\u{1}", "é\u{301}"),
        ("}", #"","issued_before":"2999-01-01T00:00:00Z"#), ("\u{fffd}", "redis"),
    ])
    func `is read back as it was written`(reason: String, actor: String) {
        for cutoff in [RevocationCutoff.everyToken, .issuedBefore(WallTime(milliseconds: 1_795_936_156_123))] {
            for from in [nil, since] {
                let written = record(cutoff: cutoff, from: from, reason: reason, actor: actor)
                let back = read(RevocationValue(written).text)
                #expect(back.record(of: written.target, seen: WallTime(seconds: 5), until: .never) == written)
            }
        }
    }

    @Test func `is whole within what is read of it, whatever the reason is`() {
        let long = String(repeating: "\u{1}", count: 1_000)
        let written = RevocationValue(record(cutoff: .issuedBefore(since), from: since, reason: long, actor: long)).text
        #expect(written.utf8.count < 4_096)
        #expect(read(written).cutoff == .issuedBefore(since))
        #expect(read(written).signature?.reason == String(long.prefix(200)))
    }

    @Test(arguments: [
        ("1000000000", 1_000_000_000), ("1795936156", 1_795_936_156), ("9999999999", 9_999_999_999),
        ("10000000000", 10_000_000_000), ("99999999999", 99_999_999_999),
    ])
    func `that is a number of seconds means what was issued until then`(text: String, seconds: Int) {
        #expect(meaning(text) == Meaning(cutoff: .issuedBefore(WallTime(seconds: Int64(seconds)))))
    }

    @Test(arguments: [
        "", "1", "0", "-1", "true", "yes", "999999999", "100000000000", "1795936156123", "1795936156000000",
        "1795936156.5", "+1795936156", "-1795936156", " 1795936156", "1795936156\n", "1795936156 ", "0x6b0c1d1c00",
        "0000000001", "0999999999", "00000000001", "1_795_936_156", "１７９５９３６１５６", "٠٠٠٠٠", "1e9", "1795936156\0",
        "2026-11-29T07:00:00Z", "null", "[]", "{}", "[1795936156]", #""1795936156""#,
    ])
    func `that is anything else means every token, by hand`(text: String) {
        #expect(meaning(text) == Meaning(), "\(text)")
    }

    @Test(arguments: [
        #"{"issued_before":1795936156}"#, #"{"issued_before":"1795936156"}"#, #"{"issued_before":""}"#,
        #"{"issued_before":"2026-11-29 07:00:00Z"}"#, #"{"issued_before":"2026-11-29T07:00:00+01:00"}"#,
        #"{"issued_before":"2026-02-30T07:00:00Z"}"#, #"{"issued_before":"2026-11-29T24:00:00Z"}"#,
        #"{"issued_before":"2026-11-29T07:00:60Z"}"#, #"{"issued_before":"2026-11-29T07:00:00.1Z"}"#,
        #"{"issued_before":null}"#, #"{"issued_before":{"a":1}}"#, #"{"Issued_before":"2026-11-29T07:00:00Z"}"#,
        #"{"issued_before":"2026-11-29T07:00:00Z","issued_before":"2026-11-29T07:00:00Z"}"#,
        #"{"issued_before":"2026-11-29T07:00:00Z"} "x""#, #"{"issued_before":"2026-11-29T07:00:00Z""#,
        #"{"issued_before":"2026-11-29T07:00:00Z",}"#, #"{,"issued_before":"2026-11-29T07:00:00Z"}"#,
        #"["issued_before","2026-11-29T07:00:00Z"]"#, #"{'issued_before':'2026-11-29T07:00:00Z'}"#,
        #"{"a":{},"issued_before":"2026-11-29T07:00:00Z"}"#, #"{"a":true,"issued_before":"2026-11-29T07:00:00Z"}"#,
    ])
    func `that is a broken object means every token`(text: String) {
        #expect(meaning(text) == Meaning(), "\(text)")
    }

    @Test func `that somebody wrote as an object is understood as far as it says`() {
        let seven = WallTime(seconds: 1_795_935_600)
        #expect(meaning(#"{"issued_before":"2026-11-29T07:00:00Z"}"#) == Meaning(cutoff: .issuedBefore(seven)))
        #expect(
            meaning(#" { "issued_before" : "2026-11-29T07:00:00.000Z" , "ticket" : 7 } "#)
                == Meaning(cutoff: .issuedBefore(seven)))
        #expect(meaning(#"{"from":"2026-11-29T07:00:00Z"}"#) == Meaning(from: seven))
        let byHand = read("1").record(of: RevocationTarget(.subject, "bob")!, seen: seven, until: .never)
        #expect(byHand.origin == .byHand)
        #expect(byHand.actor == "redis")
        #expect(byHand.reason == "set by hand")
        #expect(byHand.since == seven)
    }

    /// Whatever becomes of a value on the way, what is left of it never lets a token pass that was revoked before.
    @Test func `revokes no less when a part of it is lost`() {
        let until = WallTime(milliseconds: 1_795_936_156_123)
        let whole = Array(RevocationValue(record(cutoff: .issuedBefore(until))).text.utf8)
        for length in 0..<whole.count {
            #expect(RevocationValue(Array(whole[..<length])).cutoff == .everyToken, "\(length)")
            #expect(RevocationValue(Array(whole[(length + 1)...])).cutoff == .everyToken, "\(length)")
        }
        for index in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[index] ^= 1 << bit
                // A damaged digit is another time; a time that is none, or an object that is none, is every token.
                if case .issuedBefore(let time) = RevocationValue(damaged).cutoff, time != until {
                    #expect((56..<80).contains(index), "\(index)")
                }
            }
        }
    }
}
