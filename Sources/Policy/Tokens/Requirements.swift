internal import Crypto
internal import Settings

/// What the routes demand of a token, compiled once. All of it is judged when a token is verified; a request then only
/// tests four bits of its route.
struct Requirements: Sendable {
    private struct Rule: Hashable {
        /// How the claim must be written.
        enum Form {
            /// A string, number or boolean, or a list of them.
            case any
            /// A list of strings, or one string with several words: roles and scopes.
            case words
            /// `acr` (OpenID Connect Core §2).
            case string
            /// A list of strings: `amr`.
            case list
        }
        var claim: ClaimPlan.Claim
        /// One of them; empty: any value will do.
        var accepted: [[UInt8]]
        var form = Form.any
    }

    /// Rules by their numbers; all of a list must be met.
    private struct RouteRules {
        var claims: [Int] = []
        var roles: [Int] = []
        var scopes: [Int] = []
        var login: [Int] = []
    }

    private static let bitsPerRoute = 4
    private static let routesPerWord = 64 / bitsPerRoute
    /// The value of a claim that stands for any.
    private static let anyValue = "@present"

    private var rules: [Rule] = []
    private var routes: [RouteRules] = []

    init(_ routes: [Configuration.Route], rolesClaim: String, scopesClaim: String, _ plan: inout ClaimPlan) {
        for route in routes {
            var own = RouteRules()
            for required in route.requiredClaims {
                let accepted = required.oneOf.contains(Self.anyValue) ? [] : required.oneOf
                own.claims.append(index(of: Rule(claim: plan.claim(required.name), accepted: accepted.map(bytes))))
            }
            if !route.requiredRoles.isEmpty {
                own.roles.append(index(of: Self.listed(route.requiredRoles, in: plan.claim(rolesClaim))))
            }
            for scope in route.requiredScopes {
                own.scopes.append(index(of: Self.listed([scope], in: plan.claim(scopesClaim))))
            }
            let stepUp = route.stepUp
            let login: [(String, [String], Rule.Form)] = [
                ("acr", stepUp.levels, .string), ("amr", stepUp.methods, .list),
            ]
            for (name, accepted, form) in login where !accepted.isEmpty {
                own.login.append(
                    index(of: Rule(claim: plan.claim(name), accepted: accepted.map(bytes), form: form)))
            }
            self.routes.append(own)
        }
    }

    private static func listed(_ accepted: [String], in claim: ClaimPlan.Claim) -> Rule {
        Rule(claim: claim, accepted: accepted.map(bytes), form: .words)
    }

    private mutating func index(of rule: Rule) -> Int {
        if let index = rules.firstIndex(of: rule) { return index }
        rules.append(rule)
        return rules.count - 1
    }

    /// Four bits for each route, in the order of the routes: claims, roles, scopes and login are as they must be.
    func judge(_ claims: borrowing ClaimScanner) -> [UInt64] {
        var met: [Bool] = []
        for rule in rules { met.append(Requirements.isMet(rule, claims)) }
        var bits = [UInt64](repeating: 0, count: (routes.count + Self.routesPerWord - 1) / Self.routesPerWord)
        for (index, route) in routes.enumerated() {
            for (place, list) in [route.claims, route.roles, route.scopes, route.login].enumerated()
            where list.allSatisfy({ met[$0] }) {
                bits[index / Self.routesPerWord] |= 1 << UInt64(index % Self.routesPerWord * Self.bitsPerRoute + place)
            }
        }
        return bits
    }

    /// Why the route refuses a token with these bits; nil: it does not. A route that is not known refuses.
    static func refusal(_ bits: [UInt64], route: Int) -> Refusal? {
        guard route >= 0, route / routesPerWord < bits.count else { return .missingClaim }
        let own = bits[route / routesPerWord] >> UInt64(route % routesPerWord * bitsPerRoute) & 15
        if own == 15 { return nil }
        if own & 1 == 0 { return .missingClaim }
        if own & 2 == 0 { return .missingRole }
        return own & 4 == 0 ? .missingScope : .loginTooWeak
    }

    /// A string, number or boolean has to be one of the accepted texts; of a list, one element has to.
    private static func isMet(_ rule: Rule, _ claims: borrowing ClaimScanner) -> Bool {
        let value = claims.value(rule.claim)
        if rule.accepted.isEmpty { return value.kind != .absent && value.kind != .null }
        switch (value.kind, rule.form) {
        case (.string, .words):
            let text = claims.text(value)
            var start = 0
            while start <= text.count {
                let end = Bytes.index(of: UInt8(ascii: " "), in: text, from: start) ?? text.count
                if end > start, contains(rule.accepted, text.extracting(start..<end)) { return true }
                start = end + 1
            }
            return false
        case (.list, .any), (.list, .words), (.list, .list):
            for index in 0..<value.end - value.start {
                let element = claims.element(index, of: value)
                if isScalar(element, stringsOnly: rule.form != .any), contains(rule.accepted, claims.text(element)) {
                    return true
                }
            }
            return false
        case (_, .any), (.string, .string):
            return isScalar(value, stringsOnly: false) && contains(rule.accepted, claims.text(value))
        default:
            return false
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

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
