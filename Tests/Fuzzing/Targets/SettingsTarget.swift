import Policy
import Settings
import Wire

/// gateway.conf, the environment and a file with keys, up to the tables that workers use. The input is these three, with a
/// zero byte between them; variables stand one on a line, as `NAME=value`.
package final class SettingsTarget: FuzzTarget {
    package static let name = "settings"

    /// Stands in variables and files that hold secrets, and must be seen nowhere.
    private static let canary = "canary-0f3b7d52c6a84e91-yellow"

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        let parts = input.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false).map { Array($0) }
        var environment = ["GATEWAY_ADMIN__TOKEN": Self.canary, "REDIS_PASSWORD": Self.canary]
        if parts.count > 1 {
            for line in parts[1].split(separator: 10) {
                let pair = line.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                guard pair.count == 2 else { continue }
                environment[String(decoding: pair[0], as: UTF8.self)] = String(decoding: pair[1], as: UTF8.self)
            }
        }
        let keys = parts.count > 2 ? parts[2] : Array(Self.canary.utf8)
        let source = ConfigurationSource(
            path: "gateway.conf", contents: parts.first ?? [], environment: environment,
            files: FileAccess(read: { path in
                switch path.utf8.last {
                case UInt8(ascii: "k"): .success(.init(bytes: keys))
                case UInt8(ascii: "s"): .success(.init(bytes: Array(Self.canary.utf8)))
                default: .failure(.init("No such file or directory"))
                }
            }))
        let loaded = Configuration.load(source)
        try checkDiagnostics(loaded, input)
        guard let configuration = loaded.configuration else { return }
        try require(loaded.changesNeedingRestart(since: loaded).isEmpty, "a file differs in nothing from itself")
        let (set, problems) = KeySet.build(from: configuration.tokens)
        try require(problems.allSatisfy { !$0.message.contains(Self.canary) }, "no finding shows a secret")
        let gatekeeper = Gatekeeper(GatekeeperRules(configuration, keys: set))
        let request = Array("GET /a/b HTTP/1.1\r\nHost: example.org\r\n\r\n".utf8)
        var facts = RequestFacts(client: .init(v4: 0xcb00_7109))
        let verdict = gatekeeper.decide(
            request.span, peer: facts.client, now: House.now, wall: House.wall, facts: &facts)
        if case .incomplete = verdict { throw Finding("a whole head is judged") }
    }

    private func checkDiagnostics(_ loaded: LoadResult, _ input: [UInt8]) throws(Finding) {
        try require(
            loaded.diagnostics.containsErrors == (loaded.configuration == nil),
            "there is a configuration, or an error that says why not")
        let canMentionIt = contains(input, "yellow")
        for diagnostic in loaded.diagnostics {
            if let line = diagnostic.line, let column = diagnostic.column {
                try require(line >= 1 && column >= 1, "places count from 1")
            }
            if let excerpt = diagnostic.excerpt {
                try require(
                    excerpt.indent >= 0 && excerpt.length >= 1 && excerpt.indent + excerpt.length <= 120
                        && excerpt.text.count <= 120,
                    "an excerpt and its underline fit into a line of a terminal")
                try require(
                    excerpt.text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 },
                    "an excerpt cannot steer a terminal")
            }
            try require(!diagnostic.message.isEmpty, "a finding says what is wrong")
            let text = Array(diagnostic.description.utf8)
            try require(canMentionIt || !contains(text, Self.canary), "no finding shows a secret")
        }
        try require(
            canMentionIt || !contains(Array(loaded.effective.utf8), Self.canary), "no listing shows a secret")
    }

    private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
        let text = Array(text.utf8)
        guard bytes.count >= text.count else { return false }
        return (0...bytes.count - text.count).contains { bytes[$0...].starts(with: text) }
    }
}
