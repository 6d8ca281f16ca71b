internal import Crypto
internal import Settings

/// What the routes demand of a token, compiled once. All of it is judged when a token is verified; a request then only
/// tests two bits of its route.
struct Requirements: Sendable {
    private struct Rule: Hashable {
        var claim: ClaimPlan.Claim
        var accepted: [[UInt8]]
        /// A roles claim may be one string with several roles, as `scope` is.
        var splitsAtSpaces: Bool
    }

    private struct RouteRules {
        var claims: [Int]
        var roles: Int?
    }

    private var rules: [Rule] = []
    private var routes: [RouteRules] = []

    init(_ routes: [Configuration.Route], rolesClaim: String, _ plan: inout ClaimPlan) {
        for route in routes {
            var claims: [Int] = []
            for required in route.requiredClaims {
                let accepted = required.oneOf.map { Array($0.utf8) }
                claims.append(
                    index(of: Rule(claim: plan.claim(required.name), accepted: accepted, splitsAtSpaces: false)))
            }
            var roles: Int?
            if !route.requiredRoles.isEmpty {
                let accepted = route.requiredRoles.map { Array($0.utf8) }
                roles = index(of: Rule(claim: plan.claim(rolesClaim), accepted: accepted, splitsAtSpaces: true))
            }
            self.routes.append(RouteRules(claims: claims, roles: roles))
        }
    }

    private mutating func index(of rule: Rule) -> Int {
        if let index = rules.firstIndex(of: rule) { return index }
        rules.append(rule)
        return rules.count - 1
    }

    /// Two bits for each route, in the order of the routes: the claims are right; a role is there.
    func judge(_ claims: borrowing ClaimScanner) -> [UInt64] {
        var met: [Bool] = []
        for rule in rules { met.append(Requirements.isMet(rule, claims)) }
        var bits = [UInt64](repeating: 0, count: (routes.count + 31) / 32)
        for (index, route) in routes.enumerated() {
            let shift = UInt64(index % 32 * 2)
            if route.claims.allSatisfy({ met[$0] }) { bits[index / 32] |= 1 << shift }
            if route.roles.map({ met[$0] }) ?? true { bits[index / 32] |= 2 << shift }
        }
        return bits
    }

    /// Why the route refuses a token with these bits; nil: it does not. A route that is not known refuses.
    static func refusal(_ bits: [UInt64], route: Int) -> Refusal? {
        guard route >= 0, route / 32 < bits.count else { return .missingClaim }
        let own = bits[route / 32] >> UInt64(route % 32 * 2)
        if own & 1 == 0 { return .missingClaim }
        return own & 2 == 0 ? .missingRole : nil
    }

    /// A string, number or boolean has to be one of the accepted texts; of a list, one element has to.
    private static func isMet(_ rule: Rule, _ claims: borrowing ClaimScanner) -> Bool {
        let value = claims.value(rule.claim)
        switch value.kind {
        case .string where rule.splitsAtSpaces:
            let text = claims.text(value)
            var start = 0
            while start <= text.count {
                let end = Bytes.index(of: UInt8(ascii: " "), in: text, from: start) ?? text.count
                if end > start, contains(rule.accepted, text.extracting(start..<end)) { return true }
                start = end + 1
            }
            return false
        case .list:
            for index in 0..<value.end - value.start {
                let element = claims.element(index, of: value)
                if isScalar(element, stringsOnly: rule.splitsAtSpaces), contains(rule.accepted, claims.text(element)) {
                    return true
                }
            }
            return false
        default:
            return isScalar(value, stringsOnly: rule.splitsAtSpaces) && contains(rule.accepted, claims.text(value))
        }
    }

    private static func isScalar(_ value: ClaimScanner.Value, stringsOnly: Bool) -> Bool {
        switch value.kind {
        case .string: true
        case .number, .true, .false: !stringsOnly
        case .absent, .null, .list, .object: false
        }
    }

    private static func contains(_ accepted: [[UInt8]], _ text: Span<UInt8>) -> Bool {
        for candidate in accepted where Bytes.equal(candidate.span, text) { return true }
        return false
    }
}
