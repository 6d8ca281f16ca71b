/// Puts the environment over the file. An empty variable counts as not set: Compose files pass `${NAME:-}`.
struct EnvironmentSettings {
    private(set) var settings: ResolvedSettings
    private(set) var findings: Findings
    private let environment: [String: String]
    private var understood: Set<String> = ["GATEWAY_CONFIG"]

    init(_ environment: [String: String], over settings: ResolvedSettings, findings: Findings) {
        self.environment = environment.filter { !$0.value.isEmpty }
        self.settings = settings
        self.findings = findings
    }

    mutating func read() {
        for row in SettingRows.all {
            if row.path.contains("[]") { continue }
            for (name, path) in concreteNames(of: row) { override(path, row, by: name) }
            for variable in row.variables { override(row.path, row, by: variable) }
        }
        understood.formUnion(EnvironmentOnly.variables)
        reportUnbuilt()
        reportUnknown()
    }

    /// The variables of a row: one, or one for each entry of its map.
    private mutating func concreteNames(of row: SettingRow) -> [(name: String, path: String)] {
        guard let pattern = row.environmentName else { return [] }
        guard let star = row.path.firstIndex(of: "*") else { return [(pattern, row.path)] }
        let map = String(row.path[..<star].dropLast())
        // A map that is absent has the names of its default.
        let names = settings.names[map] ?? fallbackNames(of: map)
        var taken: [String: String] = [:]
        var result: [(name: String, path: String)] = []
        for name in names {
            let variable = pattern.replacing("*", with: EnvironmentSettings.fold(name), maxReplacements: 1)
            if let other = taken[variable], environment[variable] != nil {
                findings.error(
                    .environment(variable), "it stands for both \"\(other)\" and \"\(name)\" of \"\(map)\"",
                    hint: "rename one of them")
                continue
            }
            taken[variable] = name
            result.append((variable, row.path.replacing("*", with: name, maxReplacements: 1)))
        }
        return result
    }

    private func fallbackNames(of map: String) -> [String] {
        guard settings.places[map] == nil else { return [] }
        return SettingRows.sections.first { $0.path == map }?.fallback.map(\.name) ?? []
    }

    static func fold(_ name: String) -> String { name.uppercased().replacing("-", with: "_") }

    private mutating func override(_ path: String, _ row: SettingRow, by name: String) {
        understood.insert(name)
        guard let text = environment[name] else { return }
        set(path, row, to: text, from: name)
    }

    private mutating func set(_ path: String, _ row: SettingRow, to text: String, from name: String) {
        let place = Place.environment(name)
        if case .environment(let other)? = settings.entries[path]?.place {
            findings.error(place, "it sets \"\(path)\", and so does \(other)", hint: "unset one of them")
            return
        }
        var entry = ResolvedSettings.Entry(row: row, items: [], place: place)
        let texts = row.kind.item == nil ? [text] : splitAtCommas(text)
        for text in texts {
            do {
                entry.items.append(.init(value: try row.kind.parse(text), written: text, place: place))
            } catch {
                entry.isBroken = true
                let complaint = row.kind.discreet(error)
                findings.error(place, complaint.message, hint: hint(for: text, name) ?? complaint.hint)
            }
        }
        settings.set(path, entry)
        settings.markPresent(path, at: place)
    }

    private func splitAtCommas(_ text: String) -> [String] {
        text.split(separator: ",").map { part in
            var part = part.drop { $0 == " " }
            while part.last == " " { part.removeLast() }
            return String(part)
        }
    }

    private mutating func override(_ path: String, _ row: SettingRow, by variable: SettingRow.Variable) {
        understood.insert(variable.name)
        guard let text = environment[variable.name] else { return }
        let place = Place.environment(variable.name)
        switch variable.part {
        case .whole:
            set(path, row, to: text, from: variable.name)
        case .seconds:
            guard plainNumber(text) != nil else {
                findings.error(
                    place, "\"\(text)\" is not a number of seconds", hint: "write digits only, such as 300")
                return
            }
            set(path, row, to: text + "s", from: variable.name)
        case .perMinute:
            guard plainNumber(text) != nil else {
                findings.error(
                    place, "\"\(text)\" is not a number of requests",
                    hint: "write digits only, such as 100; 0 is no limit")
                return
            }
            set(path, row, to: text == "0" ? "off" : text + "/min", from: variable.name)
        case .host, .port:
            do {
                try replace(variable.part, of: path, row, with: text, at: place)
            } catch {
                findings.error(place, error.message, hint: hint(for: text, variable.name) ?? error.hint)
            }
        }
    }

    /// GATEWAY_HOST and GATEWAY_PORT change one half of the first listener, REDIS_HOST and REDIS_PORT of the address.
    private mutating func replace(
        _ part: SettingRow.Variable.Part, of path: String, _ row: SettingRow, with text: String, at place: Place
    ) throws(Complaint) {
        // Without a host there is no Redis; a port alone must not bring one about (Kubernetes sets REDIS_PORT).
        var entry =
            settings.entries[path]
            ?? DefaultSettings.entry(for: row)
        guard !entry.items.isEmpty, !entry.isBroken else { return }
        var address: Configuration.SocketAddressText
        switch entry.items[0].value {
        case .address(let written): address = written
        case .server(.tcp(let written)): address = written
        default: address = .init(host: "127.0.0.1", port: 6_379)
        }
        if case .host = part {
            address.host = try parseHost(text)
        } else {
            let lowest = path == "listen" ? 0 : 1
            guard let port = plainNumber(text), (lowest...65_535).contains(port) else {
                throw Complaint("\"\(text)\" is not a port", hint: "a port is a number from \(lowest) to 65535")
            }
            address.port = UInt16(port)
        }
        let value: SettingValue = path == "listen" ? .address(address) : .server(.tcp(address))
        entry.items[0] = .init(value: value, written: addressText(address), place: place)
        entry.place = place
        settings.set(path, entry)
        if case .host = part { settings.markPresent(path, at: place) }
    }

    private func hint(for text: String, _ name: String) -> String? {
        text.hasPrefix("tcp://")
            ? "Kubernetes sets \(name) for a Service of that name: set enableServiceLinks: false in the pod" : nil
    }

    private mutating func reportUnbuilt() {
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where !understood.contains(name) {
            guard let unbuilt = EnvironmentOnly.unbuilt.first(where: { $0.matches(name) }) else { continue }
            understood.insert(name)
            if unbuilt.harmless == value.lowercased() { continue }
            findings.error(
                .environment(name), "\(unbuilt.what) is not built yet, so this variable would do nothing",
                hint: unbuilt.harmless.map { "unset it, or set it to \($0)" } ?? "unset it")
        }
    }

    private mutating func reportUnknown() {
        for name in environment.keys.sorted() where name.hasPrefix("GATEWAY_") && !understood.contains(name) {
            if name.hasPrefix("GATEWAY_SERVICE_") || name.hasPrefix("GATEWAY_PORT_") {
                findings.error(
                    .environment(name), "there is no such setting",
                    hint: "Kubernetes sets it for a Service named gateway: set enableServiceLinks: false in the pod")
                continue
            }
            let known = understood.sorted()
            // What all names begin with says nothing about what was meant.
            let prefix = "GATEWAY_"
            let bare = String(name.dropFirst(prefix.count))
            let ours = known.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            let guess = closest(to: bare, among: ours).map { prefix + $0 } ?? known.first { $0 == bare }
            findings.error(
                .environment(name), "there is no such setting",
                hint: guess.map { "did you mean \($0)?" } ?? "`gateway reference` lists the names")
        }
    }
}

func addressText(_ address: Configuration.SocketAddressText) -> String {
    address.host.contains(":") ? "[\(address.host)]:\(address.port)" : "\(address.host):\(address.port)"
}

/// Variables that no row has.
enum EnvironmentOnly {
    struct Key: Sendable {
        let variable: String
        let algorithm: String
        let isPEM: Bool
        let about: String
    }

    /// Each adds a key named after itself to `tokens.keys`; with `_FILE` behind the name it gives a path.
    static let keys = [
        Key(
            variable: "JWT_SECRET", algorithm: "HS256", isPEM: false,
            about: "Shared secret for HS256, at least 32 bytes; adds the key `JWT_SECRET` to `tokens.keys`."),
        Key(
            variable: "RSA_PRIVATE_KEY", algorithm: "RS256", isPEM: true,
            about: "PEM text whose public half checks RS256; adds the key `RSA_PRIVATE_KEY` to `tokens.keys`."),
    ]

    static let variables = keys.flatMap { [$0.variable, $0.variable + "_FILE"] }

    /// Names of deployments like ours that promise a protection we do not give yet. Silence would be the worst answer.
    struct Unbuilt: Sendable {
        let name: String
        let what: String
        /// The value that asks for nothing.
        let harmless: String?

        /// A name that ends in `_` stands for all that begin with it.
        func matches(_ variable: String) -> Bool { name.hasSuffix("_") ? variable.hasPrefix(name) : variable == name }
    }

    static let unbuilt = [
        Unbuilt(name: "RATE_LIMIT_", what: "a rate limit of this kind", harmless: nil)
    ]
}
