import Testing

@testable import Policy
@testable import Settings
@testable import Wire

@Suite struct `The lead of an issuer's clock` {
    private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test func `is the most that a token was ahead in the last minutes`() {
        var lead = ClockLead()
        #expect(lead.value(at: at(0)) == .zero)
        lead.note(2_000, at: at(10))
        lead.note(5_000, at: at(20))
        lead.note(1_000, at: at(30))
        #expect(lead.value(at: at(30)) == .seconds(5))
        #expect(lead.value(at: at(319)) == .seconds(5))
        lead.note(3_000, at: at(320))
        #expect(lead.value(at: at(330)) == .seconds(5))
        #expect(lead.value(at: at(619)) == .seconds(5))
        #expect(lead.value(at: at(620)) == .seconds(3))
        #expect(lead.value(at: at(1_300)) == .zero)
    }

    @Test func `is forgotten when nothing came for long`() {
        var lead = ClockLead()
        lead.note(5_000, at: at(0))
        #expect(lead.value(at: at(599)) == .seconds(5))
        #expect(lead.value(at: at(600)) == .zero)
        lead.note(1_000, at: at(10_000))
        #expect(lead.value(at: at(10_000)) == .seconds(1))
    }

    @Test func `is no more than a day`() {
        var lead = ClockLead()
        lead.note(.max, at: at(0))
        #expect(lead.value(at: at(0)) == .seconds(86_400))
    }

    @Test func `is news beyond the bound, and not again for ten minutes`() {
        var lead = ClockLead()
        func note(_ milliseconds: Int64, _ seconds: Int) -> Bool {
            lead.note(milliseconds, at: at(seconds))
            return lead.isNews(beyond: .seconds(15), at: at(seconds))
        }
        #expect(!note(15_000, 0))
        #expect(note(15_001, 1))
        #expect(!note(20_000, 2))
        #expect(!note(20_000, 600))
        #expect(note(20_000, 601))
    }

    @Test func `is read of tokens with a right signature, remembered ones aside`() {
        let other = "the other secret, as long as it must be"
        let verifier = Mint.verifier(Mint.tokens([Mint.key("a"), Mint.key("b", secret: other)], leeway: 30))
        func send(_ claims: String, secret: String = Mint.secret) {
            _ = verifier.verify(Mint.token(#"{"exp":1700003600,"sub":"x"\#(claims)}"#, secret: secret))
        }
        send(#","iat":1699999999"#)
        send("")
        send(#","iat":1700000009"#, secret: "nobody's secret, of thirty-two bytes")
        send(#","iat":"1700000009""#)
        #expect(verifier.takeLeads() == [:])
        send(#","iat":1700000003.5"#)
        send(#","iat":1700000002"#)
        send(#","nbf":1700000007"#, secret: other)
        #expect(verifier.takeLeads() == ["a": 3_500, "b": 7_000])
        #expect(verifier.takeLeads() == [:])
        // Known by now.
        send(#","iat":1700000003.5"#)
        #expect(verifier.takeLeads() == [:])
        // Refused, but by the same clock; and one that is meant for later says nothing.
        send(#","iat":1700000090"#)
        send(#","iat":1700000000,"nbf":1700050000"#, secret: other)
        #expect(verifier.takeLeads() == ["a": 90_000])
    }
}
