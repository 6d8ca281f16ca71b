import Testing
import Wire

@testable import Policy

private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

private func record(
    _ name: String, until deadline: Instant = .never, cutoff: RevocationCutoff = .everyToken, reason: String = "test"
) -> RevocationRecord {
    RevocationRecord(
        target: RevocationTarget(.subject, name)!, cutoff: cutoff, origin: .command, reason: reason, actor: "alice",
        since: WallTime(seconds: 1), deadline: deadline)
}

/// The book by reference: an expectation cannot change a value.
private final class Book {
    private var book = RevocationBook()

    var count: Int { book.count }
    var nextDeadline: Instant? { book.nextDeadline }
    subscript(_ name: String) -> RevocationRecord? { book[RevocationTarget(.subject, name)!] }
    func records(at now: Instant) -> [RevocationRecord] { book.records(at: now) }
    @discardableResult
    func set(_ record: RevocationRecord) -> RevocationBook.Change { book.set(record) }
    @discardableResult
    func remove(_ name: String) -> RevocationBook.Change { book.remove(RevocationTarget(.subject, name)!) }
    func expire(at now: Instant, budget: Int = 1_024) -> [RevocationRecord] { book.expire(at: now, budget: budget) }
    func beginRound() { book.beginRound() }
    func unseen() -> [RevocationRecord] { book.unseen() }
}

@Suite struct `The book of revocations` {
    @Test func `says what each entry changed`() {
        let book = Book()
        #expect(book.set(record("a")) == .began(record("a")))
        #expect(book.set(record("a")) == .none)
        let later = record("a", cutoff: .issuedBefore(WallTime(seconds: 5)))
        #expect(book.set(later) == .changed(later, from: record("a")))
        #expect(book["a"] == later)
        #expect(book.remove("a") == .ended(later))
        #expect(book.remove("a") == .none)
        #expect(book.count == 0)
    }

    @Test func `keeps two spellings of one name apart`() {
        let book = Book()
        book.set(record("é"))
        #expect(book.set(record("e\u{301}")) == .began(record("e\u{301}")))
        #expect(book.count == 2)
        book.remove("é")
        #expect(book["e\u{301}"] != nil)
    }

    @Test func `lists what is not over`() {
        let book = Book()
        book.set(record("a", until: at(10)))
        book.set(record("b"))
        #expect(Set(book.records(at: at(9)).map(\.target.text)) == ["a", "b"])
        #expect(book.records(at: at(10)).map(\.target.text) == ["b"])
        #expect(book.count == 2, "what is over is here until it is taken out")
    }

    @Test func `gives back what is over, at its deadline, a budget at a time`() {
        let book = Book()
        for number in 1...5 { book.set(record("\(number)", until: at(number))) }
        #expect(book.nextDeadline == at(1))
        #expect(book.expire(at: at(0)) == [])
        #expect(book.expire(at: at(3), budget: 2).map(\.target.text) == ["1", "2"])
        #expect(book.expire(at: at(3), budget: 2).map(\.target.text) == ["3"])
        #expect(book.nextDeadline == at(4))
        #expect(book.count == 2)
    }

    @Test func `goes by the last deadline, put off, brought forward or taken away`() {
        let book = Book()
        book.set(record("later", until: at(10)))
        book.set(record("later", until: at(20)))
        book.set(record("sooner", until: at(20)))
        book.set(record("sooner", until: at(10)))
        book.set(record("never", until: at(10)))
        book.set(record("never"))
        book.set(record("again", until: at(10)))
        book.set(record("again"))
        book.set(record("again", until: at(10)))
        book.set(record("gone", until: at(10)))
        book.remove("gone")
        #expect(Set(book.expire(at: at(15)).map(\.target.text)) == ["sooner", "again"])
        #expect(book.expire(at: at(25)).map(\.target.text) == ["later"])
        #expect(book.expire(at: at(1_000_000)) == [])
        #expect(book.count == 1)
        #expect(book.nextDeadline == nil)
    }

    @Test func `does not grow with deadlines that are put off again and again`() {
        let book = Book()
        for round in 1...10_000 { book.set(record("a", until: at(round))) }
        // Each put off leaves the former behind; a book of one keeps some dozens of them, not thousands.
        var looked = 0
        while let next = book.nextDeadline, next < at(10_000) {
            #expect(book.expire(at: next) == [])
            looked += 1
        }
        #expect(looked <= 66)
        #expect(book.expire(at: at(10_000)).count == 1)
    }

    @Test func `names what was not seen in a round`() {
        let book = Book()
        book.set(record("a"))
        book.set(record("b"))
        #expect(book.unseen() == [])
        book.beginRound()
        #expect(book.unseen().count == 2)
        #expect(book.set(record("a")) == .none, "seen again, and nothing has changed")
        book.set(record("c"))
        #expect(book.unseen().map(\.target.text) == ["b"])
        book.beginRound()
        #expect(book.unseen().count == 3)
    }
}

@Suite struct `A revocation` {
    @Test func `describes itself`() {
        func text(_ kind: RevocationTarget.Kind, _ cutoff: RevocationCutoff = .everyToken, from: WallTime? = nil)
            -> String
        {
            RevocationRecord(
                target: RevocationTarget(kind, "x")!, cutoff: cutoff, from: from, origin: .byHand, reason: "",
                actor: "redis", since: WallTime(seconds: 0), deadline: .never
            ).description
        }
        let time = WallTime(milliseconds: 1_700_000_000_123)
        #expect(text(.token) == "the token with jti x")
        #expect(text(.subject, .issuedBefore(time)) == "tokens of sub x issued before 2023-11-14T22:13:20.123Z")
        #expect(text(.role) == "tokens of role x")
        #expect(text(.issuer) == "tokens of iss x")
        #expect(text(.key, from: time) == "tokens of key x, from 2023-11-14T22:13:20.123Z on")
    }

    @Test func `has nothing left when it is over, and no number when it does not end`() {
        #expect(record("a").remaining(at: at(5)) == nil)
        #expect(record("a", until: at(7)).remaining(at: at(5)) == .seconds(2))
        #expect(record("a", until: at(7)).remaining(at: at(9)) == .zero)
    }
}
