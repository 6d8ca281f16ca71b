internal import Wire

/// Where a value was written.
enum Place: Hashable, Sendable {
    case file(Mark)
    /// The file as a whole: what is missing has no line.
    case wholeFile
    case environment(String)
    case fallback
}

/// The values of all settings by their concrete paths (`routes[0].path`, `upstreams.api.servers`), before they are put
/// into a `Configuration`. A setting whose text was wrong is present without values, so that it is not reported as
/// missing and gets no default.
struct ResolvedSettings {
    struct Item {
        var value: SettingValue
        var written: String
        var place: Place
    }

    struct Entry {
        var row: SettingRow
        var items: [Item]
        var place: Place
        var isBroken = false
    }

    private(set) var entries: [String: Entry] = [:]
    /// The names in each map, in the order of the file; the order of headers and upstreams is the user's.
    private(set) var names: [String: [String]] = [:]
    /// How many items each list of sections has.
    private(set) var counts: [String: Int] = [:]
    /// Sections, maps and their members that are present.
    private(set) var places: [String: Place] = [:]
    /// Sections, maps and lists with a mistake in their form: that they are empty is not the user's word.
    private(set) var malformed: Set<String> = []

    mutating func set(_ path: String, _ entry: Entry) { entries[path] = entry }
    mutating func addName(_ name: String, to map: String) { names[map, default: []].append(name) }
    mutating func setCount(_ count: Int, of list: String) { counts[list] = count }
    mutating func markPresent(_ path: String, at place: Place) { places[path] = places[path] ?? place }

    mutating func markMalformed(_ path: String) { malformed.insert(path) }

    func place(of path: String) -> Place { entries[path]?.place ?? places[path] ?? .wholeFile }

    /// The value of a setting that is present and sound.
    func value(_ path: String) -> SettingValue? { entries[path]?.items.first?.value }
    func items(_ path: String) -> [Item] { entries[path]?.items ?? [] }

    func text(_ path: String) -> String? { if case .text(let text)? = value(path) { text } else { nil } }
    func interval(_ path: String) -> Interval? {
        if case .interval(let interval)? = value(path) { interval } else { nil }
    }
    func integer(_ path: String) -> Int? { if case .integer(let number)? = value(path) { number } else { nil } }
}

/// What was found while the configuration was read. Excerpts are made at the end, when it is known which stretches of
/// the file hold secrets.
struct Findings {
    fileprivate struct Finding {
        var severity: Diagnostic.Severity
        var place: Place
        var message: String
        var hint: String?
    }

    private var findings: [Finding] = []
    private(set) var source: SourceText?
    let fileName: String

    init(fileName: String, source: SourceText?) {
        self.fileName = fileName
        self.source = source
    }

    mutating func error(_ place: Place, _ message: String, hint: String? = nil) {
        findings.append(Finding(severity: .error, place: place, message: message, hint: hint))
    }

    mutating func warning(_ place: Place, _ message: String, hint: String? = nil) {
        findings.append(Finding(severity: .warning, place: place, message: message, hint: hint))
    }

    func hasErrors(aboutVariables names: [String]) -> Bool {
        let places = names.map(Place.environment)
        return findings.contains { $0.severity == .error && places.contains($0.place) }
    }

    /// From here on the stretch, and a comment behind it, appear as `<redacted>`.
    mutating func hide(_ mark: Mark) { source?.hide(mark) }

    /// In the order of the file, then the environment. `wellFormed`: the secrets of the file are known; otherwise
    /// only lines that cannot hold one are shown.
    func diagnostics(wellFormed: Bool) -> [Diagnostic] {
        let ordered = findings.enumerated().sorted { a, b in
            a.element.order == b.element.order ? a.offset < b.offset : a.element.order < b.element.order
        }
        var result = ordered.prefix(Self.most).map { _, finding in
            diagnostic(
                finding.severity, finding.place, finding.message, hint: finding.hint, wellFormed: wellFormed)
        }
        let rest = ordered.dropFirst(Self.most).map(\.element)
        if !rest.isEmpty {
            // An error among those that are not told is an error all the same.
            result.append(
                diagnostic(
                    rest.contains { $0.severity == .error } ? .error : .warning, .wholeFile,
                    "there are \(rest.count) more findings", hint: "mend the first ones", wellFormed: wellFormed))
        }
        return result
    }

    /// Findings that are told; a file that is something else altogether has one for every line.
    private static let most = 200

    func diagnostic(
        _ severity: Diagnostic.Severity, _ place: Place, _ message: String, hint: String?, wellFormed: Bool
    ) -> Diagnostic {
        var position = Diagnostic.Position.wholeFile(fileName)
        var excerpt: Diagnostic.Excerpt?
        switch place {
        case .file(let mark):
            position = .file(fileName, line: mark.line, column: mark.column)
            if wellFormed || isHarmless(mark.line) { excerpt = source?.excerpt(mark) }
        case .environment(let name):
            position = .environment(name)
        case .wholeFile, .fallback:
            break
        }
        return Diagnostic(severity: severity, position: position, message: message, hint: hint, excerpt: excerpt)
    }

    /// Whether a line of a file that could not be parsed may be shown: one key, which is known and no secret's, and one
    /// value. Sections in one line, and lines in the middle of a PEM, do not pass.
    private func isHarmless(_ number: Int) -> Bool {
        guard let line = source?.line(number), !looksSecret(line), !line.contains(where: { "{},#&*!|>".contains($0) })
        else { return false }
        let start = line.drop { " \t-".contains($0) }
        let parts = start.split(separator: ":", omittingEmptySubsequences: false)
        let rows = SettingRows.all.filter { $0.path.split(separator: ".").last == parts[0] }
        return parts.count == 2 && !rows.isEmpty && !rows.contains(where: \.kind.hidesValue)
    }
}

extension Findings.Finding {
    /// Line and column; what has none comes first (the file as a whole) or last (the environment).
    fileprivate var order: (Int, Int, Int) {
        switch place {
        case .wholeFile, .fallback: (0, 0, 0)
        case .file(let mark): (1, mark.line, mark.column)
        case .environment: (2, 0, 0)
        }
    }
}

/// Whether a key, or a line, names something that is not shown.
func looksSecret(_ text: String) -> Bool {
    let lower = text.lowercased()
    return ["secret", "passw", "token", "private", "credential", "pwd", "key"].contains { lower.contains($0) }
}

extension SettingRows {
    /// The last word of every path, sections included.
    static let knownKeys = Set(
        (all.map(\.path) + sections.map(\.path)).flatMap {
            $0.split(whereSeparator: { ".[]*".contains($0) }).map(String.init)
        })
}
