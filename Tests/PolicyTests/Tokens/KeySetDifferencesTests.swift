import Crypto
import TestSupport
import Testing

@testable import Policy

@Suite struct `Two sets of keys` {
    private static let both = KeySet.build(
        from: Mint.tokens([Mint.key(), Mint.jwks("idp", [TestKeys.p256JWK, TestKeys.ed25519JWK])])
    ).keys

    private func fingerprints(_ set: KeySet) -> [String] { set.keys.map(\.material.fingerprint).sorted() }

    @Test func `differ by what their keys are made of, whatever they are called`() {
        let renamed = KeySet.build(from: Mint.tokens([Mint.key("renamed")])).keys
        let idp = Self.both.keys.filter { $0.source == "idp" }.map(\.material.fingerprint).sorted()
        #expect(Self.both.fingerprints(missingIn: renamed) == idp)
        #expect(renamed.fingerprints(missingIn: Self.both) == [])
        #expect(Self.both.fingerprints(missingIn: .empty) == fingerprints(Self.both))
        #expect(Self.both.fingerprints(missingIn: Self.both) == [])
    }

    @Test func `are less some keys what is left, in their order`() {
        let gone = Self.both.keys[1].material.fingerprint
        let left = Self.both.without([gone, "000000000000"])
        #expect(left.keys == [Self.both.keys[0], Self.both.keys[2]])
        #expect(Self.both.without([]) == Self.both)
        let waiting = KeySet(keys: Self.both.keys, isIncomplete: true, hasProviders: true).without([gone])
        #expect(waiting.isIncomplete && waiting.hasProviders)
    }
}
