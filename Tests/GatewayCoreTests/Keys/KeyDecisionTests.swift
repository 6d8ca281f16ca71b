import Policy
import Testing
import Wire

@testable import GatewayCore

private let now = KeyHouse.now
private let soon = KeyHouse.soon
private let later = KeyHouse.later

private func end(
    _ name: String, _ action: KeyStep.Action, _ ring: KeyRing = KeyHouse.ring(), mayBeLast: Bool = false
) throws(AdminProblem) -> WallTime? {
    let step = KeyStep(name: name, action: action, reason: "operator", mayBeLast: mayBeLast)
    return try KeyDecision.end(of: step, ring, at: now)
}

/// Why the step is not possible; nil: it is.
private func problem(
    _ name: String, _ action: KeyStep.Action, _ revocations: RevocationRecord..., mayBeLast: Bool = false
) -> String? {
    do throws(AdminProblem) {
        _ = try end(name, action, KeyHouse.ring(revocations), mayBeLast: mayBeLast)
        return nil
    } catch {
        #expect(error.status == 409)
        #expect(error.title == "The step is not possible")
        return error.detail
    }
}

@Suite struct `A step in the life of a key` {
    @Test func `retires after a time, or at one`() throws {
        #expect(try end("main", .retire(.after(.seconds(60)))) == soon)
        #expect(try end("main", .retire(.at(later))) == later)
        #expect(try end("idp", .retire(.at(later))) == later)
    }

    @Test func `may put the end of a retiring key off, or bring it forward`() throws {
        let retiring = KeyHouse.ring([KeyHouse.record("main", from: soon)])
        #expect(try end("main", .retire(.at(later)), retiring) == later)
        let late = KeyHouse.ring([KeyHouse.record("main", from: later)])
        #expect(try end("main", .retire(.at(soon)), late) == soon)
    }

    @Test func `revokes at once, also what is revoked or the last`() throws {
        #expect(try end("main", .revoke) == now)
        #expect(try end("main", .revoke, KeyHouse.ring([KeyHouse.record("main")])) == now)
        #expect(try end("main", .revoke, KeyHouse.ring(["next", "idp"].map { KeyHouse.record($0) })) == now)
    }

    @Test func `takes back what was said of the key, or of the entry`() throws {
        #expect(try end("main", .rollback, KeyHouse.ring([KeyHouse.record("main", from: soon)])) == nil)
        #expect(try end("main", .rollback, KeyHouse.ring([KeyHouse.record("main")])) == nil)
        #expect(try end("idp", .rollback, KeyHouse.ring([KeyHouse.record("idp")])) == nil)
        let both = KeyHouse.ring([KeyHouse.record("idp/e1"), KeyHouse.record("idp", from: later)])
        #expect(try end("idp/e1", .rollback, both) == nil, "it goes with the others again")
    }

    // MARK: What is not possible

    @Test func `takes nothing back where nothing was said`() {
        let nothing = "nothing was said of main that could be taken back"
        #expect(problem("main", .rollback) == nothing)
        #expect(problem("main", .rollback, KeyHouse.record("next")) == nothing)
        #expect(
            problem("idp", .rollback, KeyHouse.record("idp/e1"))
                == "nothing was said of idp that could be taken back")
    }

    @Test func `of one key takes back nothing that its entry decides`() {
        let entry = "idp/e1 stands and falls with idp: roll that back"
        #expect(problem("idp/e1", .rollback, KeyHouse.record("idp")) == entry)
        #expect(problem("idp/e1", .rollback, KeyHouse.record("idp", from: later)) == entry)
        #expect(
            problem("idp/e1", .rollback, KeyHouse.record("idp/e1"), KeyHouse.record("idp")) == entry,
            "it would be refused all the same")
    }

    @Test func `does not retire in the past`() {
        #expect(
            problem("main", .retire(.at(now)))
                == "2026-11-29T12:00:00.000Z is over; gateway keys revoke refuses it at once")
        #expect(problem("main", .retire(.at(now + .milliseconds(1)))) == nil)
    }

    @Test func `does not give a revoked key time`() {
        let revoked = "main is revoked; gateway keys rollback takes that back"
        #expect(problem("main", .retire(.at(later)), KeyHouse.record("main")) == revoked)
        #expect(problem("main", .retire(.at(later)), KeyHouse.record("main", from: now)) == revoked)
        #expect(problem("main", .retire(.at(later)), KeyHouse.record("main", from: now + .milliseconds(1))) == nil)
        #expect(
            problem("idp/e1", .retire(.at(later)), KeyHouse.record("idp"))
                == "idp is revoked; gateway keys rollback takes that back")
    }

    @Test func `does not promise a key more time than its entry has`() {
        let retiring = KeyHouse.record("idp", from: soon)
        #expect(
            problem("idp/e1", .retire(.at(later)), retiring)
                == "idp/e1 goes with idp, at 2026-11-29T12:01:00.000Z already")
        #expect(problem("idp/e1", .retire(.at(soon + .milliseconds(-1))), retiring) == nil)
        #expect(problem("idp", .retire(.at(later)), retiring) == nil)
    }

    /// One target has one revocation: the new one would take the place of the other.
    @Test func `does not give older tokens back that are revoked`() {
        let older = KeyHouse.record("main", .issuedBefore(now))
        #expect(
            problem("main", .retire(.at(later)), older)
                == "tokens of main issued before 2026-11-29T12:00:00.000Z are revoked, and would be good again until "
                + "then; gateway unrevoke --key main comes first if that is what you want")
        #expect(problem("next", .retire(.at(later)), older) == nil)
        #expect(problem("main", .revoke, older) == nil)
    }

    @Test func `does not retire the last key, unless told so`() {
        let last =
            "no other key would be accepted then, and everybody would be logged out; add the new key first, or give --last if "
            + "that is what you want"
        let others = [KeyHouse.record("next"), KeyHouse.record("idp", from: soon)]
        #expect(problem("main", .retire(.at(later)), others[0], others[1]) == last)
        #expect(problem("main", .retire(.at(soon)), others[0], others[1]) == last, "idp goes with it")
        #expect(problem("main", .retire(.at(soon + .milliseconds(-1))), others[0], others[1]) == nil)
        #expect(problem("main", .retire(.at(later)), others[0], others[1], mayBeLast: true) == nil)
        let only = KeyHouse.ring(keys: [KeyHouse.jwks("idp", ["{}"]), KeyHouse.all[0]])
        #expect(throws: AdminProblem.keyStep(last)) { try end("main", .retire(.at(later)), only) }
    }
}
