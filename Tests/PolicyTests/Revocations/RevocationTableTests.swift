import Testing
import Wire

@testable import Policy

private func target(_ kind: RevocationTarget.Kind, _ name: String) -> RevocationTarget { RevocationTarget(kind, name)! }
private func at(_ seconds: Int64) -> WallTime { WallTime(seconds: seconds) }

/// A token of these names, issued at 1000 unless the test says otherwise.
private func token(_ names: (RevocationTarget.Kind, String)..., issued: WallTime? = at(1_000)) -> TokenMarks {
    TokenMarks(names: names.map { TokenMark(target($0.0, $0.1)) }, issuedAt: issued)
}

/// The table by reference: an expectation cannot change a value.
private final class WorkerTable {
    private var table = RevocationTable()

    init(_ entries: RevocationEntry...) { table.apply(.set(entries)) }

    var count: Int { table.count }
    var round: UInt32 { table.round }
    func apply(_ delta: RevocationDelta) { table.apply(delta) }
    func advance(to now: WallTime) -> Bool { table.advance(to: now) }
    func revokes(_ token: TokenMarks, at now: WallTime) -> Bool { table.revokes(token, at: now) }
}

@Suite struct `The table of revocations` {

    @Test func `revokes nothing when it is empty`() {
        #expect(!RevocationTable().revokes(token((.subject, "alice"), issued: nil), at: at(2_000)))
    }

    @Test(arguments: RevocationTarget.Kind.allCases)
    func `finds a token by each kind of name, and by no other kind or name`(kind: RevocationTarget.Kind) {
        let table = WorkerTable(RevocationEntry(target: target(kind, "x"), cutoff: .everyToken))
        for other in RevocationTarget.Kind.allCases {
            #expect(table.revokes(token((other, "x")), at: at(2_000)) == (other == kind), "\(other)")
        }
        #expect(!table.revokes(token((kind, "X")), at: at(2_000)))
        #expect(!table.revokes(token((kind, "xx")), at: at(2_000)))
        #expect(!table.revokes(token(), at: at(2_000)))
    }

    @Test func `looks at every name of a token`() {
        let table = WorkerTable(RevocationEntry(target: target(.role, "admin"), cutoff: .everyToken))
        #expect(table.revokes(token((.key, "main"), (.role, "user"), (.role, "admin")), at: at(2_000)))
        #expect(!table.revokes(token((.key, "main"), (.role, "user")), at: at(2_000)))
    }

    @Test func `means what was issued until the time, that millisecond included, and what does not say when`() {
        let cutoff = WallTime(milliseconds: 1_000_500)
        let table = WorkerTable(RevocationEntry(target: target(.subject, "alice"), cutoff: .issuedBefore(cutoff)))
        func revokes(_ issued: WallTime?) -> Bool {
            table.revokes(token((.subject, "alice"), issued: issued), at: at(9))
        }
        #expect(revokes(at(1_000)))
        #expect(revokes(WallTime(milliseconds: 1_000_500)))
        #expect(!revokes(WallTime(milliseconds: 1_000_501)))
        #expect(!revokes(at(1_001)))
        #expect(revokes(nil))
        #expect(revokes(at(-1)))
    }

    @Test func `lets a token pass that is newer by one name only when it is by all`() {
        let table = WorkerTable(
            RevocationEntry(target: target(.subject, "alice"), cutoff: .issuedBefore(at(500))),
            RevocationEntry(target: target(.role, "admin"), cutoff: .issuedBefore(at(1_500))))
        #expect(!table.revokes(token((.subject, "alice")), at: at(2_000)))
        #expect(table.revokes(token((.subject, "alice"), (.role, "admin")), at: at(2_000)))
    }

    @Test func `replaces what is set again, and takes back what is lifted`() {
        let table = WorkerTable(RevocationEntry(target: target(.subject, "alice"), cutoff: .everyToken))
        table.apply(.set([RevocationEntry(target: target(.subject, "alice"), cutoff: .issuedBefore(at(999)))]))
        #expect(!table.revokes(token((.subject, "alice")), at: at(2_000)))
        #expect(table.count == 1)
        table.apply(.lift([target(.subject, "bob")]))
        #expect(table.revokes(token((.subject, "alice"), issued: at(999)), at: at(2_000)))
        table.apply(.lift([target(.subject, "alice")]))
        #expect(!table.revokes(token((.subject, "alice"), issued: at(999)), at: at(2_000)))
        #expect(table.count == 0)
    }

    @Test func `forgets everything when all is replaced`() {
        let table = WorkerTable(
            RevocationEntry(target: target(.subject, "alice"), cutoff: .everyToken),
            RevocationEntry(target: target(.key, "old"), cutoff: .everyToken, from: at(3_000)))
        table.apply(.replaceAll([RevocationEntry(target: target(.token, "j"), cutoff: .everyToken)]))
        #expect(table.count == 1)
        #expect(!table.revokes(token((.subject, "alice")), at: at(4_000)))
        #expect(!table.revokes(token((.key, "old")), at: at(4_000)))
        #expect(table.revokes(token((.token, "j")), at: at(4_000)))
        #expect(!table.advance(to: at(4_000)), "a start that is forgotten does not come")
        table.apply(.replaceAll([]))
        #expect(!table.revokes(token((.token, "j")), at: at(4_000)))
    }

    @Test func `begins a round with whatever may revoke more, and with nothing else`() {
        let table = WorkerTable()
        var former = table.round
        func isNew() -> Bool {
            defer { former = table.round }
            return table.round != former
        }
        table.apply(.set([RevocationEntry(target: target(.subject, "alice"), cutoff: .everyToken)]))
        #expect(isNew())
        table.apply(.lift([target(.subject, "alice")]))
        #expect(!isNew())
        table.apply(.set([RevocationEntry(target: target(.key, "old"), cutoff: .everyToken, from: at(3_000))]))
        #expect(isNew())
        #expect(!table.advance(to: at(2_999)))
        #expect(!isNew())
        #expect(table.advance(to: at(3_000)))
        #expect(isNew())
        #expect(!table.advance(to: at(3_001)))
        #expect(!isNew())
        table.apply(.replaceAll([]))
        #expect(isNew())
    }

    // MARK: Those for later

    @Test func `waits for the time from which on a revocation is in force`() {
        let table = WorkerTable(RevocationEntry(target: target(.key, "old"), cutoff: .everyToken, from: at(3_000)))
        #expect(!table.revokes(token((.key, "old")), at: WallTime(milliseconds: 2_999_999)))
        #expect(table.revokes(token((.key, "old")), at: at(3_000)))
        #expect(table.advance(to: at(3_000)))
        #expect(table.revokes(token((.key, "old")), at: at(3_000)))
    }

    @Test func `does not take back what has begun when the clock is set back`() {
        let table = WorkerTable(RevocationEntry(target: target(.key, "old"), cutoff: .everyToken, from: at(3_000)))
        #expect(table.advance(to: at(3_000)))
        #expect(table.revokes(token((.key, "old")), at: at(1_000)))
        #expect(!table.advance(to: at(1_000)))
    }

    @Test func `tells of each start once, in their order`() {
        let table = WorkerTable(
            RevocationEntry(target: target(.key, "c"), cutoff: .everyToken, from: at(5_000)),
            RevocationEntry(target: target(.key, "a"), cutoff: .everyToken, from: at(3_000)),
            RevocationEntry(target: target(.key, "b"), cutoff: .everyToken, from: at(4_000)))
        var begun: [Int64] = []
        for second in Int64(2_990)...5_010 where table.advance(to: at(second)) { begun.append(second) }
        #expect(begun == [3_000, 4_000, 5_000])
    }

    @Test func `tells of several starts at once after a jump of the clock`() {
        let table = WorkerTable(
            RevocationEntry(target: target(.key, "a"), cutoff: .everyToken, from: at(3_000)),
            RevocationEntry(target: target(.key, "b"), cutoff: .everyToken, from: at(4_000)),
            RevocationEntry(target: target(.key, "c"), cutoff: .everyToken, from: at(9_000)))
        #expect(table.advance(to: at(8_000)))
        #expect(!table.advance(to: at(8_001)))
        #expect(table.revokes(token((.key, "b")), at: at(100)))
        #expect(!table.revokes(token((.key, "c")), at: at(8_001)))
        #expect(table.advance(to: at(9_000)))
    }

    @Test func `looks once more for a start that was lifted`() {
        let table = WorkerTable(RevocationEntry(target: target(.key, "a"), cutoff: .everyToken, from: at(3_000)))
        table.apply(.lift([target(.key, "a")]))
        _ = table.advance(to: at(3_000))
        #expect(!table.advance(to: at(3_001)))
        #expect(!table.revokes(token((.key, "a")), at: at(3_001)))
    }

    @Test func `puts off what is set again for later`() {
        let table = WorkerTable(RevocationEntry(target: target(.key, "a"), cutoff: .everyToken))
        table.apply(.set([RevocationEntry(target: target(.key, "a"), cutoff: .everyToken, from: at(3_000))]))
        #expect(!table.revokes(token((.key, "a")), at: at(2_000)))
    }
}

@Suite struct `A mark` {
    @Test func `keeps apart names that only look alike`() {
        let names = ["é", "e\u{301}", "E\u{301}", "a", "a\u{0}", "a ", " a", "ａ"]
        for one in names {
            for other in names {
                let isSame = one.utf8.elementsEqual(other.utf8)
                #expect(
                    (TokenMark(target(.subject, one)) == TokenMark(target(.subject, other))) == isSame,
                    "\(one) \(other)")
            }
        }
    }

    @Test func `does not take the end of a kind for the beginning of a name`() {
        #expect(TokenMark(target(.token, "a")) != TokenMark(target(.subject, "a")))
        #expect(TokenMark(target(.key, "x")) == TokenMark(.key, Array("x".utf8).span))
    }
}
