internal import Policy
package import Settings

/// What `gateway check` can say of feeds: the gateway starts without their lists, and blocks nobody then who stands on them.
package enum FeedCheck {
    package static func diagnostics(_ result: LoadResult) -> [Diagnostic] {
        (result.configuration?.feeds ?? []).compactMap { feed in
            guard case .file(let path) = feed.source, let problem = problem(of: path, feed.name) else { return nil }
            var diagnostic = result.diagnostic(
                at: "\(feed.section).file", "the list of the feed \"\(feed.name)\" is of no use: \(problem)",
                hint: "until a good one is there, nobody is blocked for it")
            diagnostic?.severity = .warning
            return diagnostic
        }
    }

    private static func problem(of path: String, _ name: String) -> FeedProblem? {
        switch FeedFile.contents(of: path) {
        case .failure(let problem): problem
        case .success(let bytes):
            if case .failure(let problem) = FeedReader.read(bytes, name: name, sparing: []) { problem } else { nil }
        }
    }
}
