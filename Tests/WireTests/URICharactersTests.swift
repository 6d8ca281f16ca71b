import Testing

@testable import Wire

private let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

private func members(_ set: Characters.Class) -> Set<UInt8> { Set((0...255).filter { set.contains($0) }) }

@Suite struct `A character class` {
    @Test func `holds exactly the bytes of its grammar rule`() {
        #expect(members(Characters.token) == Set((letters + "!#$%&'*+-.^_`|~").utf8))
        #expect(members(Characters.segment) == Set((letters + "-_~!$&'()*+,=:@").utf8))
        #expect(members(Characters.hostName) == Set((letters + "-._~=").utf8))
    }

    @Test func `lower-cases ASCII capitals and nothing else`() {
        for byte in UInt8.min...UInt8.max {
            #expect(Characters.lowercased(byte) == (byte >= 65 && byte <= 90 ? byte + 32 : byte))
        }
    }
}
