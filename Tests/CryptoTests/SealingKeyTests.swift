import Testing

@testable import Crypto

@Suite struct `A sealing key` {
    private let secret = Array("a ring secret of more than 32 bytes".utf8)
    private let plain = Array("what nobody may read or make".utf8)

    private func key(_ purpose: String = "test") throws -> SealingKey {
        try SealingKey(secret: secret, purpose: purpose)
    }

    @Test func `opens what it has sealed`() throws {
        #expect(try key().open(key().seal(plain, as: "name"), as: "name") == plain)
        #expect(try key().open(key().seal([], as: ""), as: "") == [])
    }

    @Test func `seals nothing twice alike, and shows nothing of it`() throws {
        let (one, other) = (try key().seal(plain, as: "name"), try key().seal(plain, as: "name"))
        #expect(one != other)
        #expect(one.count == 12 + plain.count + 16)
        #expect(!one.indices.dropLast(7).contains { Array(one[$0..<$0 + 8]) == Array(plain[..<8]) })
    }

    @Test func `does not open under another name, for another purpose or with another secret`() throws {
        let sealed = try key().seal(plain, as: "name")
        #expect(try key().open(sealed, as: "other") == nil)
        #expect(try key().open(sealed, as: "") == nil)
        #expect(try key("another").open(sealed, as: "name") == nil)
        let other = try SealingKey(secret: secret + [1], purpose: "test")
        #expect(other.open(sealed, as: "name") == nil)
    }

    @Test func `does not open what was changed in any bit or cut anywhere`() throws {
        let sealed = try key().seal(plain, as: "name")
        for index in sealed.indices {
            for bit in 0..<8 {
                var changed = sealed
                changed[index] ^= 1 << bit
                #expect(try key().open(changed, as: "name") == nil)
            }
            #expect(try key().open(Array(sealed[..<index]), as: "name") == nil)
        }
        #expect(try key().open(sealed + [0], as: "name") == nil)
    }

    @Test func `needs a secret of 32 bytes`() {
        #expect(throws: KeyError.secretTooShort(bytes: 31, needed: 32)) {
            try SealingKey(secret: Array(repeating: 1, count: 31), purpose: "test")
        }
    }
}
