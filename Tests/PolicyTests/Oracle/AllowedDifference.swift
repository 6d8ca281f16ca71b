/// What NIOHTTP1 refuses and the gateway passes on all the same: the whole list, each with the words of the RFC.
struct AllowedDifference: Sendable {
    let name: String
    /// Where it is written, and what.
    let rfc: String
    let why: String
    let covers: @Sendable (Difference) -> Bool

    static let all: [AllowedDifference] = []
}
