import Crypto
import Policy
import Settings
import Wire

/// A solution as somebody makes one up who does not know the secret; or one of a challenge that is posed here, changed.
package final class ChallengeTarget: FuzzTarget {
    package static let name = "challenge"

    private static let text = """
        upstreams: {api: {servers: ["127.0.0.1:9000"]}}
        routes: [{path: /, upstream: api, auth: none}]
        login: {challenge: {kind: proof_of_work, difficulty: 1, secret: \(House.secret)}}
        """

    private let rule: ChallengeRule
    private let client = IPAddress("203.0.113.7")!
    private let other = IPAddress("203.0.113.8")!

    package init() {
        let loaded = Configuration.load(
            ConfigurationSource(path: "gateway.conf", contents: Array(ChallengeTarget.text.utf8)))
        guard let rule = loaded.configuration.flatMap({ ChallengeRule($0) }) else {
            fatalError("\(loaded.diagnostics)")
        }
        self.rule = rule
    }

    package func check(_ input: [UInt8]) throws(Finding) {
        try require(judge(input) == .wrong, "what was not posed here has no solution")
        let checksum = input.checksum
        let salt = (0..<8).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt64($0))) }
        guard input.count >= 2, let nonce = rule.nonce(for: client, at: House.wall, salt: salt) else { return }
        let solved = solve(nonce)
        guard case .work(let id, let until) = judge(solved) else { throw Finding("a challenge can be solved") }
        try require(until == nonce.expiresAt, "a solution is good as long as its challenge says")
        try require(judge(solved, at: until) == .wrong, "behind its end it is not")
        try require(judge(solved, from: other) == .wrong, "it is good for one address")
        var changed = solved
        let place = Int(input[0]) % changed.count
        changed[place] = input[1]
        try expect(changed, toBe: id, "with a byte changed it is none, or another number for the same challenge")
        try expect(solved + input, toBe: id, "with more behind it it is none, or another number")
        try expect(input + solved, toBe: id, "with more before it it is none")
        try expect(Array(solved.prefix(place)) + input, toBe: id, "its beginning alone is worth nothing")
    }

    private func judge(
        _ text: [UInt8], from address: IPAddress? = nil, at time: WallTime = House.wall
    ) -> PresentedSolution { rule.judge(text.span, from: address ?? client, at: time) }

    private func expect(_ text: [UInt8], toBe id: SolutionID, _ property: StaticString) throws(Finding) {
        switch judge(text) {
        case .wrong: return
        case .work(let found, _): try require(found == id, property)
        case .nothing, .token: throw Finding(property)
        }
    }

    private func solve(_ nonce: WorkNonce) -> [UInt8] {
        var number = 0
        while true {
            let text = Array("\(nonce.text).\(number)".utf8)
            if Bytes.sha256(text.span)[0] < 0x80 { return text }
            number += 1
        }
    }
}
