extension Assembly {
    /// `CrossChecks` has seen to it that each has one source.
    func feeds() -> [Configuration.Feed] {
        (0..<(settings.counts["feeds"] ?? 0)).compactMap { index in
            let path = "feeds[\(index)]"
            let source: Configuration.Feed.Source
            if case .web(let url)? = settings.value("\(path).url") {
                source = .url(url)
            } else if let file = settings.text("\(path).file") {
                source = .file(path: resolvePath(file, in: directory))
            } else {
                return nil
            }
            var feed = Configuration.Feed(text("\(path).name"), source, section: path)
            feed.action = .init(rawValue: text("\(path).action")) ?? .block
            feed.mayShrink = boolean("\(path).may_shrink")
            feed.interval = interval("\(path).interval")
            feed.timeout = interval("\(path).timeout")
            feed.authoritiesPath = settings.text("\(path).ca_file").map { resolvePath($0, in: directory) }
            feed.allowsHTTP = boolean("\(path).allow_http")
            return feed
        }
    }
}
