/// Reads the tree of the file along the rows: every key must be one, every value must be of its row's kind.
struct FileSettings {
    private(set) var settings = ResolvedSettings()
    private(set) var findings: Findings

    init(findings: Findings) { self.findings = findings }

    mutating func read(_ root: YAMLNode) { read(root, as: .root, at: "") }

    private mutating func read(_ node: YAMLNode, as shape: Shape, at path: String) {
        if case .invalid = node.content {
            // Reported already. What stands there may have been meant as a secret.
            if shape.holdsSecrets { findings.hide(node.mark) }
            if case .value(let row) = shape {
                settings.set(path, .init(row: row, items: [], place: .file(node.mark), isBroken: true))
            }
            settings.markPresent(path, at: .file(node.mark))
            return
        }
        switch shape {
        case .value(let row):
            readValue(node, row, at: path)
        case .section(_, let children):
            guard let pairs = mapping(node, shape, at: path) else { return }
            let start = path.isEmpty ? "" : path + "."
            var seen: Set<String> = []
            for pair in pairs {
                if let child = children.first(where: { $0.key == pair.key }) {
                    guard seen.insert(pair.key).inserted else {
                        // Reported already; the first one holds, the other may be a secret all the same.
                        if child.shape.holdsSecrets { findings.hide(pair.value.mark) }
                        continue
                    }
                    settings.markPresent(start + pair.key, at: .file(pair.keyMark))
                    read(pair.value, as: child.shape, at: start + pair.key)
                } else {
                    reportUnknown(pair, in: path, children, secrets: shape.directlyHoldsSecrets)
                }
            }
        case .map(_, let rule, let inner):
            guard let pairs = mapping(node, shape, at: path) else { return }
            for pair in pairs {
                if let rule, !rule.accepts(pair.key) {
                    settings.markMalformed(path)
                    findings.error(
                        .file(pair.keyMark), "\"\(pair.key)\" cannot be a name here", hint: "use \(rule.alphabet)")
                    continue
                }
                if settings.names[path]?.contains(pair.key) == true { continue }  // reported already
                settings.addName(pair.key, to: path)
                settings.markPresent("\(path).\(pair.key)", at: .file(pair.keyMark))
                read(pair.value, as: inner, at: "\(path).\(pair.key)")
            }
        case .list(_, let inner):
            guard case .sequence(let items) = node.content else {
                if node.isEmpty { return }
                settings.markMalformed(path)
                if shape.holdsSecrets { findings.hide(node.mark) }
                findings.error(
                    .file(node.mark), "\"\(path)\" is a list, but this is \(node.looks)",
                    hint: "begin each item with \"- \"")
                return
            }
            settings.setCount(items.count, of: path)
            for (index, item) in items.enumerated() {
                settings.markPresent("\(path)[\(index)]", at: .file(item.mark))
                read(item, as: inner, at: "\(path)[\(index)]")
            }
        }
    }

    /// The pairs of a section or map. `login:` with everything below it commented out is an empty section.
    private mutating func mapping(_ node: YAMLNode, _ shape: Shape, at path: String) -> [YAMLNode.Pair]? {
        if case .mapping(let pairs) = node.content { return pairs }
        if node.isEmpty { return [] }
        settings.markMalformed(path)
        if shape.holdsSecrets { findings.hide(node.mark) }
        let name = path.isEmpty ? "the file" : "\"\(path)\""
        findings.error(
            .file(node.mark), "\(name) holds settings of its own, but this is \(node.looks)",
            hint: "write \"key: value\" lines below it, indented")
        return nil
    }

    private mutating func reportUnknown(
        _ pair: YAMLNode.Pair, in path: String, _ children: [(key: String, shape: Shape)], secrets: Bool
    ) {
        let place = path.isEmpty ? "" : " in \"\(path)\""
        let guess = closest(to: pair.key, among: children.map(\.key))
        let meant = children.first { $0.key == guess }?.shape
        // A misspelt `secret:` is a secret still.
        if secrets || looksSecret(pair.key) || meant?.holdsSecrets == true || pair.value.namesSecrets {
            findings.hide(pair.value.mark)
        }
        // Of `{secret: ab,cd}` YAML makes a key `cd` without a value: half a secret.
        if secrets, guess == nil, pair.value.isEmpty {
            findings.hide(pair.keyMark)
            findings.error(
                .file(pair.keyMark), "there is a key without a value\(place)",
                hint: "a secret with a comma or a line break in it needs quotes")
            return
        }
        var hint = guess.map { "did you mean \"\($0)\"?" }
        if hint == nil {
            hint = elsewhere(pair.key, in: path).map { "did you mean \"\($0)\"?" }
        }
        findings.error(
            .file(pair.keyMark), "there is no setting \"\(pair.key)\"\(place)",
            hint: hint ?? "known here: \(children.map(\.key).joined(separator: ", "))")
    }

    /// The right word at the wrong level: below here, else beside the same section, else all of its name, if they are few:
    /// of several in other places none is meant more than the others.
    private func elsewhere(_ key: String, in path: String) -> String? {
        let all = (SettingRows.all.map(\.path) + SettingRows.sections.map(\.path)).filter { $0.hasSuffix("." + key) }
        var section = path.split(separator: ".")
        while !section.isEmpty {
            let near = all.filter { FileSettings.isWithin(section, $0.split(separator: ".")) }
            if let nearest = near.min(by: { $0.utf8.count < $1.utf8.count }) { return nearest }
            section.removeLast()
        }
        return (1...3).contains(all.count) ? all.joined(separator: "\" or \"") : nil
    }

    /// Whether a row is of a section of the file, whose lists have numbers and whose maps have names.
    private static func isWithin(_ section: [Substring], _ row: [Substring]) -> Bool {
        guard row.count > section.count else { return false }
        return zip(section, row).allSatisfy { word, pattern in
            word == pattern || pattern == "*"
                || pattern.hasSuffix("[]") && word.prefix { $0 != "[" } == pattern.dropLast(2)
        }
    }

    private mutating func readValue(_ node: YAMLNode, _ row: SettingRow, at path: String) {
        if row.kind.hidesValue { findings.hide(node.mark) }
        var entry = ResolvedSettings.Entry(row: row, items: [], place: .file(node.mark))
        switch (node.content, row.kind.item) {
        case (.sequence(let nodes), let kind?):
            for item in nodes { append(item, as: kind, to: &entry, at: path) }
        case (.scalar, let kind?):
            if case .listOrSingle = row.kind, !node.isEmpty {
                append(node, as: kind, to: &entry, at: path)
            } else {
                entry.isBroken = true
                findings.error(
                    .file(node.mark), node.isEmpty ? "\"\(path)\" has no value" : "\"\(path)\" is a list",
                    hint: node.isEmpty ? "write [] for none, or leave the key out" : "put the value in brackets: [ … ]")
            }
        case (.scalar, nil):
            append(node, as: row.kind, to: &entry, at: path)
        default:
            entry.isBroken = true
            let wanted = row.kind.item == nil ? "a single value" : "a list"
            findings.error(
                .file(node.mark), "\"\(path)\" is \(wanted), but this is \(node.looks)", hint: "write: \(usage(row))")
        }
        settings.set(path, entry)
    }

    private func usage(_ row: SettingRow) -> String {
        let key = row.path.split(whereSeparator: { ".[]*".contains($0) }).last ?? ""
        return row.kind.isSecret ? "\(key): \"…\"" : "\(key): \(row.example)"
    }

    private mutating func append(
        _ node: YAMLNode, as kind: SettingKind, to entry: inout ResolvedSettings.Entry, at path: String
    ) {
        guard case .scalar(let text, let plain) = node.content else {
            entry.isBroken = true
            if case .invalid = node.content { return }
            findings.error(.file(node.mark), "an item of \"\(path)\" is a single value, but this is \(node.looks)")
            return
        }
        // Elsewhere in YAML these words mean "nothing"; here they would become a cookie named null.
        if plain, ["", "~", "null", "Null", "NULL"].contains(text) {
            entry.isBroken = true
            findings.error(
                .file(node.mark), "\"\(path)\" has no value",
                hint: "leave the key out for the default" + (text.isEmpty ? "" : "; quote the word if it is meant"))
            return
        }
        do {
            entry.items.append(.init(value: try kind.parse(text), written: text, place: .file(node.mark)))
        } catch {
            entry.isBroken = true
            if holdsCredentials(text) { findings.hide(node.mark) }
            let complaint = kind.discreet(error)
            findings.error(.file(node.mark), complaint.message, hint: complaint.hint)
        }
    }
}

extension YAMLNode {
    /// Whether a key somewhere below is the name of a secret.
    fileprivate var namesSecrets: Bool {
        switch content {
        case .mapping(let pairs): pairs.contains { looksSecret($0.key) || $0.value.namesSecrets }
        case .sequence(let items): items.contains(where: \.namesSecrets)
        case .scalar, .invalid: false
        }
    }
}

extension Shape {
    /// Whether one of the keys of this very section is a secret.
    var directlyHoldsSecrets: Bool {
        guard case .section(_, let children) = self else { return false }
        return children.contains { if case .value(let row) = $0.shape { row.kind.hidesValue } else { false } }
    }
}
