import Foundation

/// A token that Vapor's JWTKit has minted (`Tests/JWTKit`), with the key that verifies it. `sub` is alice, `role` admin,
/// `iat` 1699999990, `exp` 1700003600; the kid is the name of the algorithm.
package struct MintedToken: Decodable, Sendable {
    package let algorithm: String
    /// One of the two.
    package let secret: String?
    package let pem: String?
    package let token: String

    /// What the mint printed; `scripts/mint-jwtkit` says where.
    private static let path = ProcessInfo.processInfo.environment["JWTKIT_TOKENS"]

    package static var areThere: Bool { path != nil }

    /// Two lists with the same algorithms and no key in common.
    package static func all() throws -> [[MintedToken]] {
        guard let path else { return [] }
        return try JSONDecoder().decode([[MintedToken]].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
