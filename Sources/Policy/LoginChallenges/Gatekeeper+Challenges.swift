package import Wire

/// Of the login that was decided last.
extension Gatekeeper {
    /// The field that a program sends its solution in. In no spelling it reaches a backend.
    static let solutionField: StaticString = "gateway-challenge"
    /// Of its name, that are looked at: each may cost an HMAC.
    private static let mostCookies = 4

    /// - Parameter bytes: those that were decided.
    package func solution(_ bytes: Span<UInt8>, from client: IPAddress, at now: WallTime) -> PresentedSolution {
        guard let rule = rules.challenge else { return .nothing }
        var found: Range<Int>?
        for index in 0..<fields.count where classes[index] == .identity {
            guard bytes.extracting(fields[index].name).equalsIgnoringCase(Gatekeeper.solutionField) else { continue }
            guard found == nil else { return .wrong }
            found = fields[index].value
        }
        if let found { return rule.judge(bytes.extracting(found), from: client, at: now) }
        return rule.hasPage ? cookie(bytes, rule, from: client, at: now) : .nothing
    }

    /// Another path's, or another host's of the site, may stand in front of the one that the page has set.
    private func cookie(
        _ bytes: Span<UInt8>, _ rule: ChallengeRule, from client: IPAddress, at now: WallTime
    ) -> PresentedSolution {
        let name = Array(ChallengePage.cookie.utf8)
        var solution = PresentedSolution.nothing
        var left = Gatekeeper.mostCookies
        for index in 0..<fields.count where classes[index] == .cookie {
            var position = fields[index].value.lowerBound
            while left > 0, let value = Cookies.nextValue(of: name, in: bytes, fields[index].value, &position) {
                left -= 1
                solution = rule.judge(bytes.extracting(value), from: client, at: now)
                if solution != .wrong { return solution }
            }
        }
        return solution
    }

    /// What the answer to it is to say of a challenge. It holds for the next refusal that is written.
    package func pose(
        _ kind: PosedKind, to client: IPAddress, _ bytes: Span<UInt8>, at now: WallTime, requestID: Span<UInt8>
    ) {
        guard let rule = rules.challenge else { return }
        posed = rule.pose(
            kind, to: client, at: now, page: rule.hasPage && wantsPage(bytes), requestID: requestID.text)
    }

    /// It is a person's browser that goes from page to page: scripts ask for `*/*` or JSON.
    private func wantsPage(_ bytes: Span<UInt8>) -> Bool {
        let type: StaticString = "text/html"
        for index in 0..<fields.count where bytes.extracting(fields[index].name).equalsIgnoringCase("accept") {
            let value = bytes.extracting(fields[index].value)
            var start = 0
            while start + type.utf8CodeUnitCount <= value.count {
                if value.extracting(start..<start + type.utf8CodeUnitCount).equalsIgnoringCase(type) { return true }
                start += 1
            }
        }
        return false
    }

    /// Whether a Cookie field of a login holds a solution, which is not the backend's affair.
    func holdsSolution(_ field: Range<Int>, of bytes: Span<UInt8>) -> Bool {
        Cookies.mayHold(Array(ChallengePage.cookie.utf8), in: bytes, field)
    }
}
