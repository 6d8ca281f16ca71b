/// Every setting in force, one a line, with where it comes from: `login.limit: 10  # gateway.conf:40`.
func effectiveText(_ settings: ResolvedSettings, _ secrets: SecretSettings, fileName: String) -> String {
    var lines: [(text: String, origin: String)] = []
    func origin(_ place: Place) -> String {
        switch place {
        case .file(let mark): "\(fileName):\(mark.line)"
        case .environment(let name): "environment \(name)"
        case .wholeFile: fileName
        case .fallback: "default"
        }
    }
    func visit(_ shape: Shape, _ path: String) {
        switch shape {
        case .value(let row):
            guard let entry = settings.entries[path] else { return }
            if row.kind.isSecret {
                if !entry.items.isEmpty { lines.append(("\(path): <redacted>", origin(entry.place))) }
                return
            }
            if entry.items.isEmpty, row.kind.item == nil { return }
            var written = entry.items.map { row.kind.isCapability ? originOnly($0.written) : $0.written }
            if path == "tls.listen", written.isEmpty, settings.hasCertificate {
                written = [addressText(Configuration.TLS.defaultListener)]
            }
            let value = row.kind.item == nil ? written[0] : "[\(written.joined(separator: ", "))]"
            lines.append(("\(path): \(value)", origin(entry.place)))
        case .section(_, let children):
            if path == "redis", !settings.usesRedis { return }
            for child in children { visit(child.shape, path.isEmpty ? child.key : "\(path).\(child.key)") }
        case .map(_, _, let inner):
            for name in settings.names[path] ?? [] { visit(inner, "\(path).\(name)") }
        case .list(_, let inner):
            for index in 0..<(settings.counts[path] ?? 0) { visit(inner, "\(path)[\(index)]") }
        }
    }
    visit(.root, "")
    for (key, _) in secrets.environmentKeys {
        lines.append(("tokens.keys (\(key.variable)): <redacted>", "environment \(key.variable)"))
    }
    let width = min(60, lines.map(\.text.count).max() ?? 0)
    return lines.map { text, origin in
        text + String(repeating: " ", count: max(0, width - text.count)) + "  # \(origin)\n"
    }.joined()
}

/// `https://hooks.example.org/<redacted>`
private func originOnly(_ url: String) -> String {
    guard let scheme = url.firstRange(of: "://"),
        let end = url[scheme.upperBound...].firstIndex(where: { $0 == "/" || $0 == "?" }), url[end...] != "/"
    else { return url }
    return "\(url[..<end])/<redacted>"
}
