/// One setting. Everything that is said or done about it comes from here: parsing, range check, unknown-key errors,
/// `gateway reference`, docs/configuration.md, the JSON Schema, environment overrides, redaction.
struct SettingRow: Sendable {
    enum Fallback: Sendable {
        case required
        /// No value; the words say what that means.
        case absent(String)
        /// Written as in the file.
        case value(String)
        case items([String])
    }

    enum Reload: String, Sendable {
        /// SIGHUP puts a new value in force.
        case live
        /// Only a new process takes a new value.
        case restart
    }

    /// Where the setting stands: `login.limit`; `upstreams.*.servers` for every named entry; `routes[].path` for every
    /// item of a list.
    let path: String
    let kind: SettingKind
    let fallback: Fallback
    let reload: Reload
    /// A value other than the default, as it would be written in the file.
    let example: String
    /// Honoured variables besides the one that the path gives.
    let variables: [Variable]
    /// One sentence.
    let about: String

    init(
        _ path: String, _ kind: SettingKind, _ fallback: Fallback, _ reload: Reload = .live, example: String,
        variables: [Variable] = [], _ about: String
    ) {
        self.path = path
        self.kind = kind
        self.fallback = fallback
        self.reload = reload
        self.example = example
        self.variables = variables
        self.about = about
    }

    /// A name that deployments already use.
    struct Variable: Sendable {
        enum Part: Sendable {
            case whole
            /// A plain number of seconds.
            case seconds
            /// A plain number of requests per minute; 0 is none.
            case perMinute
            /// The host, or the port, of the (first) address.
            case host, port
        }
        let name: String
        let part: Part
    }

    /// `GATEWAY_LOGIN__LIMIT`, with `*` for the name of an entry; nil for settings inside lists.
    var environmentName: String? {
        path.contains("[]") ? nil : "GATEWAY_" + path.split(separator: ".").joined(separator: "__").uppercased()
    }
}

/// A place that holds settings: a section with fixed keys, a map with names of the user's choice, or a list.
struct SectionRow: Sendable {
    enum Form: Sendable {
        case section
        /// Keys are names that the rule accepts.
        case map(WordRule?)
        case list
    }
    let path: String
    let form: Form
    let about: String
    /// What a map holds when it is absent.
    let fallback: [(name: String, value: String)]

    init(_ path: String, _ form: Form, fallback: [(name: String, value: String)] = [], _ about: String) {
        self.path = path
        self.form = form
        self.fallback = fallback
        self.about = about
    }
}

/// The rows as the tree that the file has.
indirect enum Shape: Sendable {
    case value(SettingRow)
    case section(SectionRow?, [(key: String, shape: Shape)])
    case map(SectionRow, WordRule?, Shape)
    case list(SectionRow, Shape)

    /// The root section.
    static let root = build(at: "")

    private static func build(at prefix: String) -> Shape {
        if let row = SettingRows.all.first(where: { $0.path == prefix }) { return .value(row) }
        let row = SettingRows.sections.first { $0.path == prefix }
        switch row?.form {
        case .map(let rule)?: return .map(row!, rule, build(at: prefix + ".*"))
        case .list?: return .list(row!, build(at: prefix + "[]"))
        case .section?, nil: break
        }
        let start = prefix.isEmpty ? "" : prefix + "."
        var keys: [String] = []
        for path in SettingRows.all.map(\.path) where path.hasPrefix(start) {
            let key = String(path.dropFirst(start.count).prefix { $0 != "." && $0 != "[" })
            if !keys.contains(key) { keys.append(key) }
        }
        return .section(row, keys.map { ($0, build(at: start + $0)) })
    }

    var holdsSecrets: Bool {
        switch self {
        case .value(let row): row.kind.hidesValue
        case .section(_, let children): children.contains { $0.shape.holdsSecrets }
        case .map(_, _, let inner), .list(_, let inner): inner.holdsSecrets
        }
    }
}
