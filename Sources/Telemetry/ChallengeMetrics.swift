/// Which challenge it is.
package enum ChallengeKind: String, CaseIterable, Sendable {
    case proofOfWork = "proof_of_work"
    case siteverify
}

/// What became of it.
package enum ChallengeResult: String, CaseIterable, Sendable {
    /// A login was answered with it.
    case posed
    /// A login went on with its solution.
    case solved
    /// A solution was forged, of another address, too late or not right; or the provider said no.
    case wrong
    /// A solution was used for another login before.
    case spent
}

/// What became of a question to the provider of CAPTCHAs.
package enum SiteverifyResult: String, CaseIterable, Sendable {
    case good
    case bad
    /// No answer, or none that can be understood.
    case failed
    /// Not asked: too many questions were open, or the provider was spared.
    case spared
}

/// What the control thread counts of challenges. It stays on that thread.
package final class ChallengeMetrics {
    private struct Label: Hashable {
        let kind: ChallengeKind
        let result: ChallengeResult
    }

    private var challenges: [Label: Int] = [:]
    private var questions: [SiteverifyResult: Int] = [:]

    package init() {}

    package func count(_ kind: ChallengeKind, _ result: ChallengeResult) {
        challenges[Label(kind: kind, result: result), default: 0] += 1
    }

    package func count(_ result: SiteverifyResult) { questions[result, default: 0] += 1 }

    func write(to text: inout PrometheusText) {
        text.family("login_challenges_total", .counter, "Challenges of logins, by kind and what became of them.")
        for kind in ChallengeKind.allCases {
            for result in ChallengeResult.allCases {
                text.sample(
                    "login_challenges_total", "kind=\"\(kind.rawValue)\",result=\"\(result.rawValue)\"",
                    challenges[Label(kind: kind, result: result)] ?? 0)
            }
        }
        text.family(
            "captcha_questions_total", .counter, "Questions about tokens of CAPTCHAs, by what became of them.")
        for result in SiteverifyResult.allCases {
            text.sample("captcha_questions_total", "result=\"\(result.rawValue)\"", questions[result] ?? 0)
        }
    }
}
