/// Builds Prometheus text exposition, format 0.0.4.
struct PrometheusText {
    enum Kind: String {
        case counter, gauge, histogram
    }

    private let prefix: String
    private(set) var text = ""

    init(prefix: String) { self.prefix = prefix.isEmpty ? "" : prefix + "_" }

    var bytes: [UInt8] { Array(text.utf8) }

    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(prefix)\(name) \(escapedHelp(help))\n# TYPE \(prefix)\(name) \(kind.rawValue)\n"
    }

    /// `labels`: `name="value",…` with escaped values, or nothing.
    mutating func sample(_ name: String, _ labels: String, _ value: Int) {
        sample(name, labels, text: String(value))
    }

    mutating func sample(_ name: String, _ labels: String, thousandths value: Int) {
        sample(name, labels, text: decimal(value, digits: 3))
    }

    mutating func sample(_ name: String, _ labels: String, microseconds value: Int) {
        sample(name, labels, text: decimal(value, digits: 6))
    }

    private mutating func sample(_ name: String, _ labels: String, text value: String) {
        text += labels.isEmpty ? "\(prefix)\(name) \(value)\n" : "\(prefix)\(name){\(labels)} \(value)\n"
    }

    /// `counts` by bucket, not yet added up, with the one for `+Inf` last; `sum` in nanoseconds.
    mutating func histogram(_ name: String, _ labels: String, bounds: [String], counts: [Int], sum: Int) {
        let comma = labels.isEmpty ? "" : ","
        var running = 0
        for (bound, count) in zip(bounds + ["+Inf"], counts) {
            running += count
            sample("\(name)_bucket", "\(labels)\(comma)le=\"\(bound)\"", running)
        }
        sample("\(name)_sum", labels, text: decimal(sum, digits: 9))
        sample("\(name)_count", labels, running)
    }
}

/// `value` / 10^`digits`, without binary fractions.
private func decimal(_ value: Int, digits: Int) -> String {
    let text = String(value.magnitude)
    let padded = String(repeating: "0", count: max(0, digits + 1 - text.utf8.count)) + text
    return (value < 0 ? "-" : "") + padded.dropLast(digits) + "." + padded.suffix(digits)
}

/// A label's value: `\`, `"` and line feeds escaped.
func escapedLabel(_ value: String) -> String {
    guard value.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) else { return value }
    var escaped = ""
    for scalar in value.unicodeScalars {
        switch scalar {
        case "\\": escaped += "\\\\"
        case "\"": escaped += "\\\""
        case "\n": escaped += "\\n"
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}

private func escapedHelp(_ help: String) -> String {
    var escaped = ""
    for scalar in help.unicodeScalars {
        switch scalar {
        case "\\": escaped += "\\\\"
        case "\n": escaped += "\\n"
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}
