import Policy
import Settings
import Wire

/// The path of a request: its canonical form, what the rules of a route make of an unusual one, and whether whoever reads
/// the outcome in another way gets to another route or past the counter of logins. The first two bytes choose the rules and
/// the order in which a backend interprets what it gets.
package final class PathTarget: FuzzTarget {
    package static let name = "path"

    private var gatekeeper = House.gatekeeper()
    private var out = ByteWriter(capacity: 1 << 16)
    private let client = IPAddress("203.0.113.9")!

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        guard input.count >= 2 else { return }
        let path = Array(input.dropFirst(2))
        let canonical = try canonical(path)
        if let canonical { try checkPlain(canonical, path) }
        let order = Reading.order(seed: UInt64(input[1]) ^ path.checksum)
        try checkRules(rules(input[0]), path, canonical, order)
        try checkRequest(path, order)
    }

    // MARK: The canonical form

    /// Nil: ambiguous.
    private func canonical(_ path: [UInt8]) throws(Finding) -> [UInt8]? {
        switch CanonicalPath.scan(path.span) {
        case .canonical: return path
        case .ambiguous: return nil
        case .rewrite(let length):
            var buffer = [UInt8](repeating: 0, count: length)
            var place = buffer.mutableSpan
            try require(
                CanonicalPath.write(path.span, into: &place) == length, "a form is as long as was said")
            try require(CanonicalPath.scan(buffer.span) == .canonical, "a canonical form is its own canonical form")
            return buffer
        }
    }

    /// A form that is let through says to a program that decodes what it says to one that does not.
    private func checkPlain(_ canonical: [UInt8], _ path: [UInt8]) throws(Finding) {
        let decoded = Reading.decoded(canonical)
        try require(decoded == (path.isEmpty ? [slash] : Reading.decoded(path)), "a canonical form means the same")
        try require(Reading.decoded(decoded) == decoded, "nothing is encoded twice")
        try require(!decoded.contains { $0 < 32 || $0 == 127 }, "no control byte hides in a path")
        try require(!decoded.contains(UInt8(ascii: "\\")), "no backslash hides in a path")
        try require(!decoded.contains(UInt8(ascii: ";")), "no parameter hides in a path")
        try require(String(validating: decoded, as: UTF8.self) != nil, "a path is UTF-8")
        try require(
            decoded.count { $0 == slash } == canonical.count { $0 == slash }, "no separator hides in a path")
        for order in [Reading.Step.all, Reading.Step.all.reversed()] {
            try require(Reading.of(canonical, order) == canonical, "a canonical form can be read in one way")
        }
        try require(
            canonical.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") },
            "a path is visible ASCII that ends no path")
    }

    // MARK: Rules for unusual paths

    /// Five rules of three handlings each.
    private func rules(_ choice: UInt8) -> PathRules {
        let handlings: [PathRules.Handling] = [.refuse, .normalise, .keep]
        var rest = Int(choice)
        func next() -> PathRules.Handling {
            defer { rest /= 3 }
            return handlings[rest % 3]
        }
        var rules = PathRules()
        rules.encodedSlash = next()
        rules.backslash = next()
        rules.semicolon = next()
        rules.emptySegments = next()
        rules.dotSegments = next()
        return rules
    }

    private func checkRules(
        _ rules: PathRules, _ path: [UInt8], _ canonical: [UInt8]?, _ order: [Reading.Step]
    ) throws(Finding) {
        guard let unusual = UnusualPath(path.span) else {
            try require(canonical == nil || path.isEmpty, "what is not ambiguous can be looked at")
            return
        }
        let strict = unusual.admitted(by: PathRules())
        try require(strict?.forwarded == canonical, "without rules a path is admitted when it is not ambiguous")
        if let canonical {
            try require(unusual.plainest == canonical, "a path that is not ambiguous has one reading")
        }
        guard let admitted = unusual.admitted(by: rules) else { return }
        try require(
            admitted.forwarded.first == slash && !admitted.forwarded.starts(with: [slash, slash]),
            "what goes on begins with one slash")
        guard let again = UnusualPath(admitted.forwarded.span)?.admitted(by: rules) else {
            throw Finding("what goes on is admitted by the same rules")
        }
        try require(again.forwarded == admitted.forwarded, "what goes on is not changed by the same rules")
        try require(Set(again.readings) == Set(admitted.readings), "what goes on has the readings that were judged")
        guard let reading = Reading.of(admitted.forwarded, order) else {
            throw Finding("nobody gets above the root")
        }
        try require(admitted.readings.contains(reading), "every way to read what goes on was judged")
    }

    // MARK: The request that it belongs to

    private func checkRequest(_ path: [UInt8], _ order: [Reading.Step]) throws(Finding) {
        for method in ["GET", "POST"] {
            let bytes = Array("\(method) ".utf8) + path + Array(" HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            var facts = RequestFacts(client: client)
            let verdict = gatekeeper.decide(
                bytes.span, peer: client, now: House.now, wall: House.wall, facts: &facts)
            guard case .forward(let plan) = verdict else { continue }
            let trace = RequestTrace()
            gatekeeper.name(trace, bytes.span, peer: client)
            out.reset()
            gatekeeper.prepare(plan, facts, bytes.span, trace, peer: client, into: &out)
            let target = try PlainHead(out.unownedBytes.array).startLine.split(separator: 32)[1]
            let forwarded = Array(target.prefix { $0 != UInt8(ascii: "?") })
            for order in [order, Reading.Step.all, Reading.Step.all.reversed()] {
                guard let reading = Reading.of(forwarded, order) else { throw Finding("nobody gets above the root") }
                try require(
                    Self.route(of: reading) == facts.route, "no reading of a path leads to another route")
                try require(
                    (method == "POST" && Self.isLogin(reading)) == plan.isLogin,
                    "no reading of a path gets past the counter of logins, or into it")
            }
        }
    }

    /// As docs/configuration.md says it, in the plainest way: the longest prefix of whole segments, in any letter case.
    private static func route(of path: [UInt8]) -> Int? {
        let path = path.map(lowercased)
        var best: (length: Int, route: Int)?
        for (index, route) in House.rules.configuration.routes.enumerated() where route.host == nil {
            var prefix = Array(route.path.utf8)
            if prefix.last == slash { prefix.removeLast() }
            guard path.starts(with: prefix), path.count == prefix.count || path[prefix.count] == slash else { continue }
            if best.map({ prefix.count > $0.length }) ?? true { best = (prefix.count, index) }
        }
        return best?.route
    }

    private static func isLogin(_ path: [UInt8]) -> Bool {
        var path = path.map(lowercased)
        if path.last == slash { path.removeLast() }
        return path == Array("/auth/login".utf8)
    }
}

private let slash = UInt8(ascii: "/")
