/// Fills in what neither the file nor the environment says, and reports what must be said.
struct DefaultSettings {
    private(set) var settings: ResolvedSettings
    private(set) var findings: Findings

    init(over settings: ResolvedSettings, findings: Findings) {
        self.settings = settings
        self.findings = findings
    }

    mutating func fill() { fill(.root, at: "") }

    /// The row's default as an entry; without items when it has none.
    static func entry(for row: SettingRow) -> ResolvedSettings.Entry {
        let texts =
            switch row.fallback {
            case .value(let text): [text]
            case .items(let texts): texts
            case .required, .absent: [String]()
            }
        let items = texts.map { text in
            // The rows are checked by a test; a default that its own kind refuses cannot be shipped.
            ResolvedSettings.Item(value: mustParse(text, row), written: text, place: .fallback)
        }
        return .init(row: row, items: items, place: .fallback)
    }

    private static func mustParse(_ text: String, _ row: SettingRow) -> SettingValue {
        do {
            return try row.kind.parse(text)
        } catch {
            preconditionFailure("the default of \(row.path): \(error.message)")
        }
    }

    private mutating func fill(_ shape: Shape, at path: String) {
        switch shape {
        case .value(let row):
            guard settings.entries[path] == nil else { return }
            if case .required = row.fallback {
                let parent = parentPath(path)
                let key = path.dropFirst(parent.isEmpty ? 0 : parent.count + 1)
                findings.error(
                    settings.place(of: parent), "\"\(key)\" is missing\(parent.isEmpty ? "" : " in \"\(parent)\"")",
                    hint: row.kind.isSecret ? nil : "for example \(key): \(row.example)")
                settings.set(path, .init(row: row, items: [], place: settings.place(of: parent), isBroken: true))
                return
            }
            settings.set(path, Self.entry(for: row))
        case .section(_, let children):
            // These sections mean something by being there.
            if ["redis", "cors"].contains(path.split(separator: ".").last), !isWanted(path, children) { return }
            let start = path.isEmpty ? "" : path + "."
            for child in children { fill(child.shape, at: start + child.key) }
        case .map(let row, _, let inner):
            if settings.places[path] == nil { fillMap(row, inner, at: path) }
            for name in settings.names[path] ?? [] { fill(inner, at: "\(path).\(name)") }
        case .list(_, let inner):
            for index in 0..<(settings.counts[path] ?? 0) { fill(inner, at: "\(path)[\(index)]") }
        }
    }

    private mutating func fillMap(_ row: SectionRow, _ inner: Shape, at path: String) {
        guard case .value(let valueRow) = inner else { return }
        for (name, value) in row.fallback {
            settings.addName(name, to: path)
            if settings.entries["\(path).\(name)"] != nil { continue }
            let item = ResolvedSettings.Item(
                value: Self.mustParse(value, valueRow), written: value, place: .fallback)
            settings.set("\(path).\(name)", .init(row: valueRow, items: [item], place: .fallback))
        }
    }

    /// Redis is used when the file has its section, or a variable tells where it is; `cors` when it is written.
    private mutating func isWanted(_ path: String, _ children: [(key: String, shape: Shape)]) -> Bool {
        if settings.places[path] != nil { return true }
        guard path == "redis" else { return false }
        // A port alone is an entry of the address, too.
        if ["address", "url", "url_file"].contains(where: { settings.places["redis.\($0)"] != nil }) { return true }
        if ["sentinels", "cluster"].contains(where: { settings.entries["redis.\($0)"] != nil }) { return true }
        for child in children {
            if case .environment(let name)? = settings.entries["redis.\(child.key)"]?.place {
                findings.warning(
                    .environment(name), "no Redis is configured, so this variable does nothing",
                    hint: "set REDIS_HOST, or \"redis\" in the file")
            }
        }
        return false
    }

    private func parentPath(_ path: String) -> String {
        path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
    }
}
