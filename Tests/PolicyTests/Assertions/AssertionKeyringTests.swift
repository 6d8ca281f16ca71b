import Testing

@testable import Crypto
@testable import Policy
@testable import Settings
@testable import Wire

/// The schedule of keys: `Mint.now` is second 0, and whoever verifies keeps the keys for 300 s.
@Suite struct `A keyring` {
    private let a: SigningKey
    private let b: SigningKey
    private let c: SigningKey
    private let d: SigningKey

    init() throws {
        a = try SigningKey.make(.edDSA)
        b = try SigningKey.make(.edDSA)
        c = try SigningKey.make(.edDSA)
        d = try SigningKey.make(.edDSA)
    }

    private func at(_ second: Int) -> WallTime { Mint.now + .seconds(second) }

    private func ids(_ keyring: AssertionKeyring) -> [String] { keyring.publicKeys.map(\.id) }

    private func add(_ key: SigningKey, to keyring: inout AssertionKeyring, at second: Int) {
        keyring.add(key, .made, maximumAge: .seconds(300), at: at(second))
    }

    private func follow(_ first: SigningKey, _ others: [SigningKey], _ keyring: inout AssertionKeyring, at second: Int)
    {
        keyring.follow(first, others.map(\.publicKey), maximumAge: .seconds(300), at: at(second))
    }

    @Test func `signs with its first key at once`() {
        let keyring = AssertionKeyring(a, .made, at: at(0))
        #expect(keyring.current(at: at(0)).key.id == a.id)
        #expect(keyring.waiting(at: at(0)) == nil)
        #expect(ids(keyring) == [a.id])
    }

    @Test func `publishes a new key at once, and signs with it when everybody has asked again`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 1000)
        #expect(ids(keyring) == [a.id, b.id])
        #expect(keyring.current(at: at(1301)).key.id == a.id)
        #expect(keyring.waiting(at: at(1301))?.key.id == b.id)
        #expect(keyring.current(at: at(1302)).key.id == b.id)
        #expect(keyring.waiting(at: at(1302)) == nil)
    }

    /// The longest assertion (600 s), and a minute for clocks.
    @Test func `publishes the old key until its last assertion has expired`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 1000)
        #expect(keyring.forget(at: at(1302 + 659)) == [])
        #expect(ids(keyring) == [a.id, b.id])
        #expect(keyring.forget(at: at(1302 + 660)) == [a.id])
        #expect(ids(keyring) == [b.id])
        #expect(keyring.forget(at: at(1_000_000)) == [], "the key that signs never goes")
    }

    @Test func `withdraws keys in the wrong hands at once`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 1000)
        keyring.replace(with: c, .made, at: at(1001))
        #expect(ids(keyring) == [c.id])
        #expect(keyring.current(at: at(1001)).key.id == c.id)
    }

    @Test func `lets a key that waits give way to a newer one`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 1000)
        add(c, to: &keyring, at: 1200)
        #expect(ids(keyring) == [a.id, c.id])
        #expect(keyring.current(at: at(1501)).key.id == a.id)
        #expect(keyring.current(at: at(1502)).key.id == c.id)
    }

    @Test func `goes on with the key before when the clock is set back`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 1000)
        #expect(keyring.current(at: at(2000)).key.id == b.id)
        #expect(keyring.current(at: at(900)).key.id == a.id)
        #expect(keyring.current(at: at(-900)).key.id == a.id)
    }

    @Test func `follows a file whose first key is another one`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(a, [], &keyring, at: 10)
        #expect(keyring.entries.count == 1)
        follow(b, [], &keyring, at: 1000)
        #expect(ids(keyring) == [a.id, b.id])
        #expect(keyring.current(at: at(1301)).key.id == a.id)
        #expect(keyring.current(at: at(1302)).key.id == b.id)
    }

    /// How several gateways change their key: it stands behind the first in all their files before it stands in front.
    @Test func `signs at once with a key that was published long enough`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(a, [b], &keyring, at: 1000)
        #expect(ids(keyring) == [a.id, b.id])
        #expect(keyring.current(at: at(5000)).key.id == a.id)
        follow(b, [a], &keyring, at: 5000)
        #expect(keyring.current(at: at(5000)).key.id == b.id)
        #expect(ids(keyring) == [a.id, b.id], "each once")
    }

    @Test func `waits for the rest of the time with a key that was not`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(a, [b], &keyring, at: 1000)
        follow(b, [], &keyring, at: 1100)
        #expect(keyring.current(at: at(1301)).key.id == a.id)
        #expect(keyring.current(at: at(1302)).key.id == b.id)
    }

    @Test func `takes back a change that has not come into force`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(b, [], &keyring, at: 1000)
        follow(a, [], &keyring, at: 1010)
        #expect(ids(keyring) == [a.id])
        #expect(keyring.waiting(at: at(1010)) == nil)
    }

    @Test func `goes back to a key that has signed before`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(b, [], &keyring, at: 1000)
        follow(a, [], &keyring, at: 1400)
        #expect(keyring.current(at: at(1400)).key.id == a.id, "it was never withdrawn, so everybody has it")
        #expect(keyring.forget(at: at(1302 + 660)) == [])
        #expect(ids(keyring) == [b.id, a.id])
        #expect(keyring.forget(at: at(1400 + 660)) == [b.id])
    }

    @Test func `publishes others only as long as the file names them`() {
        var keyring = AssertionKeyring(a, .file, at: at(0))
        follow(a, [b, c], &keyring, at: 10)
        #expect(ids(keyring) == [a.id, b.id, c.id])
        follow(a, [c], &keyring, at: 20)
        #expect(ids(keyring) == [a.id, c.id])
        keyring.dropGuests()
        #expect(ids(keyring) == [a.id])
    }

    @Test func `is written as a key set`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        add(b, to: &keyring, at: 0)
        let document = String(decoding: keyring.document, as: UTF8.self)
        #expect(document == #"{"keys":[\#(a.publicKey.text),\#(b.publicKey.text)]}"#)
    }

    /// Asks with a verifier that keeps the keys as long as it may, at every second of three rotations.
    @Test func `never signs what somebody who keeps the keys for as long as he may cannot verify`() {
        var keyring = AssertionKeyring(a, .made, at: at(0))
        var published: [Int: Set<String>] = [:]
        var signed: [(second: Int, id: String)] = []
        for second in 0..<4000 {
            if second == 500 { add(b, to: &keyring, at: second) }
            if second == 1500 { add(c, to: &keyring, at: second) }
            if second == 2500 { add(d, to: &keyring, at: second) }
            _ = keyring.forget(at: at(second))
            published[second] = Set(ids(keyring))
            signed.append((second, keyring.current(at: at(second)).key.id))
        }
        for (second, id) in signed {
            // Used until its end, by whoever has fetched up to 300 s before.
            for used in [second, second + 300, second + 600] {
                for fetched in [used - 300, used - 1, used] {
                    guard let keys = published[fetched] else { continue }
                    #expect(keys.contains(id), "signed at \(second), used at \(used), keys of \(fetched)")
                }
            }
        }
    }
}
