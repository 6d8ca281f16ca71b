import Testing

@testable import Transport

@Suite struct `The certificates for a name` {
    private static let rsa: Int32 = 6
    private static let ecdsa: Int32 = 408

    private func holders(
        of name: String, among certificates: [(names: [String], kind: Int32)]
    ) -> [Int] {
        let names = ServerNames(certificates)
        return names.groups[names.group(for: name)]
    }

    @Test(arguments: [
        ("a.test", [0]), ("A.Test.", [0]), ("b.test", [1]), ("x.wild.test", [2]), ("exact.wild.test", [1]),
        ("wild.test", [0]), ("a.b.wild.test", [0]), ("nobody.test", [0]), ("", [0]), (".wild.test", [0]),
    ])
    func `are those with the exact name, then with a wildcard for its first label, then the default`(
        name: String, expected: [Int]
    ) {
        let certificates = [
            (names: ["a.test"], kind: Self.ecdsa), (names: ["b.test", "exact.wild.test"], kind: Self.ecdsa),
            (names: ["*.wild.test"], kind: Self.rsa),
        ]
        #expect(holders(of: name, among: certificates) == expected)
    }

    @Test func `are the first of each kind of key`() {
        let certificates = [
            (names: ["default.test"], kind: Self.ecdsa), (names: ["a.test", "b.test"], kind: Self.ecdsa),
            (names: ["a.test"], kind: Self.ecdsa), (names: ["a.test", "c.test"], kind: Self.rsa),
            (names: ["a.test"], kind: Self.rsa),
        ]
        #expect(holders(of: "a.test", among: certificates) == [1, 3])
        #expect(holders(of: "b.test", among: certificates) == [1])
        #expect(holders(of: "c.test", among: certificates) == [3])
        #expect(holders(of: "nobody.test", among: certificates) == [0])
    }

    @Test func `are of both kinds for the default, too`() {
        let certificates = [(names: ["a.test", "b.test"], kind: Self.rsa), (names: ["a.test"], kind: Self.ecdsa)]
        #expect(holders(of: "nobody.test", among: certificates) == [0, 1])
        #expect(holders(of: "b.test", among: certificates) == [0])
    }

    @Test func `are each in some group, so that a bad one is told of`() {
        let certificates = [
            (names: ["a.test"], kind: Self.rsa), (names: ["a.test", "a.test"], kind: Self.rsa),
            (names: [], kind: Self.ecdsa),
        ]
        #expect(Set(ServerNames(certificates).groups.joined()) == [0, 1, 2])
        #expect(ServerNames(certificates).groups[0] == [0])
        #expect(ServerNames([(names: [], kind: Self.rsa)]).groups == [[0]])
    }
}
