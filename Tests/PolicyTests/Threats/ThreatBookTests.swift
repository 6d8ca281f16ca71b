import Settings
import Testing
import Wire

@testable import Policy

@Suite struct `A threat` {
    private let start = Instant(nanoseconds: 1_000_000_000_000)
    private let noon = WallTime(milliseconds: 1_795_262_400_000)
    private let finding = ThreatFinding(
        .spraying, .network(IPNetwork("203.0.113.7")!), ThreatMeasures(failures: 12, accounts: 10, networks: 1))

    private func note(
        _ book: inout ThreatBook, _ finding: ThreatFinding, after seconds: Int, id: String = "1"
    ) -> ThreatNews? {
        book.note(
            finding, from: IPAddress("203.0.113.7"), ThreatTrace(requestID: "r\(seconds)", traceID: "t\(seconds)"),
            quiet: .seconds(900), reminder: .seconds(600), at: start + .seconds(seconds),
            wall: noon + .seconds(seconds),
            id: id
        ).last
    }

    @Test func `is told once, again after a while, and when it is over`() throws {
        var book = ThreatBook()
        #expect(note(&book, finding, after: 0)?.step == .began)
        for second in 1..<600 { #expect(note(&book, finding, after: second) == nil) }
        var more = finding
        more = ThreatFinding(
            more.pattern, more.subject, ThreatMeasures(failures: 40, accounts: 9, networks: 1))
        let again = try #require(note(&book, more, after: 600))
        #expect(again.step == .continues && again.threat.signs == 601 && !again.isGrown)
        #expect(again.threat.trace == ThreatTrace(requestID: "r600", traceID: "t600"))
        #expect(again.threat.measures == ThreatMeasures(failures: 40, accounts: 10, networks: 1))
        #expect(book.sweep(at: start + .seconds(1_499), wall: noon).isEmpty)
        let over = try #require(book.sweep(at: start + .seconds(1_500), wall: noon + .seconds(1_500)).first)
        #expect(over.step == .ended && over.threat.ended == noon + .seconds(1_500) && over.threat.id == "1")
        #expect(book.isQuiet && book.recent == [over.threat])
        #expect(note(&book, finding, after: 1_600, id: "2")?.threat.id == "2", "another one")
        #expect(book.begun == [.spraying: 2] && book.activeCounts[.spraying] == 1)
    }

    @Test func `is one for each subject and pattern`() {
        var book = ThreatBook()
        _ = note(&book, finding, after: 0)
        let other = ThreatFinding(.successAfterFailures, finding.subject, finding.measures)
        #expect(note(&book, other, after: 0, id: "2")?.step == .began)
        #expect(note(&book, ThreatFinding(.spraying, .everybody, finding.measures), after: 1, id: "3")?.step == .began)
        #expect(book.active.map(\.id) == ["3", "1", "2"])
        #expect(book.endAll(at: noon + .seconds(2)).map(\.threat.id) == ["1", "2", "3"])
        #expect(book.isQuiet)
    }

    @Test func `of a thousand is listed among 128, and the rest are counted`() {
        var book = ThreatBook()
        for number in 0..<1_000 {
            let one = ThreatFinding(.singleAccount, .account(account(number)), finding.measures)
            #expect((note(&book, one, after: 0, id: "\(number)") != nil) == (number < 128))
        }
        #expect(book.active.count == 128 && book.unlisted == [.singleAccount: 872])
        #expect(book.begun == [.singleAccount: 128])
        let success = ThreatFinding(.successAfterFailures, .account(account(999)), finding.measures)
        #expect(note(&book, success, after: 0)?.step == .began, "no flood hides another pattern")
        #expect(book.sweep(at: start + .seconds(900), wall: noon).count == 129)
        #expect(book.recent.count == 65 && book.isQuiet, "64 of one pattern, and the other")
        #expect(book.activeCounts.values.allSatisfy { $0 == 0 })
    }

    @Test func `that is a success is told, however many successes of his own an attacker makes`() throws {
        var book = ThreatBook()
        func success(_ subject: ThreatSubject) -> ThreatFinding {
            ThreatFinding(.successAfterFailures, subject, finding.measures)
        }
        for number in 0..<128 {
            let network = IPNetwork(host(number))
            #expect(note(&book, success(.network(network)), after: number, id: "n\(number)")?.step == .began)
            #expect(note(&book, success(.account(account(number))), after: number, id: "a\(number)")?.step == .began)
        }
        #expect(book.active.count == 256, "those of networks keep none of accounts out")
        // The first has a new sign: the second is the oldest.
        _ = note(&book, success(.account(account(0))), after: 200)
        let news = book.note(
            success(.account(account(-1))), from: nil, quiet: .seconds(900), reminder: .seconds(600),
            at: start + .seconds(201), wall: noon + .seconds(201), id: "victim")
        #expect(news.map(\.step) == [.ended, .began] && news.map(\.threat.id) == ["a1", "victim"])
        #expect(book.active.count == 256 && book.activeCounts[.successAfterFailures] == 256 && book.unlisted.isEmpty)
    }

    @Test func `that has grown fourfold is told again at once`() {
        var book = ThreatBook()
        func grown(to failures: Int, after seconds: Int) -> ThreatNews? {
            let more = ThreatFinding(
                finding.pattern, finding.subject, ThreatMeasures(failures: failures, accounts: 10, networks: 1))
            return note(&book, more, after: seconds)
        }
        #expect(grown(to: 10, after: 0)?.isFirst == true)
        #expect(grown(to: 39, after: 1) == nil)
        #expect(grown(to: 40, after: 2)?.isGrown == true)
        #expect(grown(to: 41, after: 3) == nil && grown(to: 159, after: 4) == nil)
        #expect(grown(to: 160, after: 5)?.rank == .news)
        // It ebbs, is told of as that, and comes again.
        #expect(grown(to: 12, after: 605)?.rank == .reminder)
        #expect(grown(to: 48, after: 606)?.isGrown == true)
    }

    @Test func `that is over is kept for each pattern`() {
        var book = ThreatBook()
        _ = note(&book, ThreatFinding(.successAfterFailures, .account(account(1)), finding.measures), after: 0)
        _ = book.endAll(at: noon)
        for number in 0..<100 {
            _ = note(&book, ThreatFinding(.singleAccount, .account(account(number)), finding.measures), after: 1)
        }
        _ = book.endAll(at: noon + .seconds(1))
        #expect(book.recent.count == 65 && book.recent.last?.pattern == .successAfterFailures)
    }
}
