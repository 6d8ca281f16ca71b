/// Rules about feeds.
extension CrossChecks {
    mutating func checkFeeds() {
        var seen: Set<String> = []
        for index in 0..<(settings.counts["feeds"] ?? 0) {
            let path = "feeds[\(index)]"
            let name = settings.place(of: "\(path).name")
            if index == Configuration.Feed.most {
                findings.error(name, "there are more than \(Configuration.Feed.most) feeds", hint: "join some of them")
            }
            if let text = settings.text("\(path).name"), !seen.insert(text).inserted {
                findings.error(name, "the feed \"\(text)\" stands twice", hint: "give each feed a name of its own")
            }
            checkSource(path)
        }
    }

    private mutating func checkSource(_ path: String) {
        let (file, url) = (settings.written("\(path).file"), settings.written("\(path).url"))
        guard let url else {
            if file == nil {
                findings.error(
                    settings.place(of: "\(path).name"), "the feed says nowhere what is in it",
                    hint: "add \"file\" or \"url\"")
            }
            for name in ["interval", "timeout", "ca_file", "allow_http"] {
                guard let entry = settings.written("\(path).\(name)") else { continue }
                findings.error(
                    entry.place, "nothing is fetched for this feed, so \"\(name)\" would do nothing",
                    hint: "set \"url\", or remove it; a file is read again whenever it changes")
            }
            return
        }
        if file != nil {
            findings.error(url.place, "a feed is either a file or fetched", hint: "remove \"file\" or \"url\"")
        }
        guard case .web(let address)? = settings.value("\(path).url") else { return }
        if case .boolean(false)? = settings.value("\(path).allow_http"), address.isExposed {
            findings.error(
                url.place, "whoever sits between here and \(address.host) could say whom to block",
                hint: "write https://, or set \"allow_http\" to true")
        }
    }
}
