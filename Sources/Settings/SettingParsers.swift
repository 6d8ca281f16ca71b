internal import Wire

// Numbers, sizes, durations and words. Addresses and paths are in SettingAddressParsers.swift.

func parseInteger(_ text: String, _ range: ClosedRange<Int>) throws(Complaint) -> Int {
    guard let number = plainNumber(text) else {
        throw Complaint("\"\(text)\" is not a number", hint: "write digits only, without leading zeros, such as 10")
    }
    guard range.contains(number) else {
        throw Complaint("\(text) is out of range", hint: "from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
}

/// Decimal digits without sign or leading zeros: `010` is 8 to YAML 1.1 and 10 to people, so it is nothing here.
/// A number too large for Int becomes `Int.max`, which every range refuses.
func plainNumber(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit), text.utf8.count == 1 || text.utf8.first != 48
    else { return nil }
    return Int(text) ?? .max
}

private let sizeUnits: [(suffix: String, bytes: Int)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

func parseSize(_ text: String, _ range: ClosedRange<Int>) throws(Complaint) -> Int {
    var digits = Substring(text)
    var unit = 1
    if let match = sizeUnits.first(where: { text.hasSuffix($0.suffix) }) {
        digits = text.dropLast(match.suffix.count)
        unit = match.bytes
    }
    guard let number = plainNumber(digits) else {
        throw Complaint("\"\(text)\" is not a size", hint: "write bytes or KiB, MiB, GiB, such as 16KiB")
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
    guard !overflow, range.contains(bytes) else {
        throw Complaint(
            "\(text) is out of range", hint: "from \(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))")
    }
    return bytes
}

func sizeText(_ bytes: Int) -> String {
    for unit in sizeUnits where bytes > 0 && bytes % unit.bytes == 0 { return "\(bytes / unit.bytes)\(unit.suffix)" }
    return "\(bytes)"
}

private let durationUnits: [(suffix: String, milliseconds: Int)] = [
    ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
]

/// - Parameter why: said to whoever leaves the range.
func parseDuration(
    _ text: String, _ range: ClosedRange<Interval>, why: String? = nil
) throws(Complaint) -> Interval {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let suffix = text.dropFirst(digits.count)
    guard let number = plainNumber(digits) else {
        throw Complaint("\"\(text)\" is not a duration", hint: durationHint)
    }
    // 0 is the same in every unit.
    guard let unit = durationUnits.first(where: { $0.suffix == suffix }) ?? (text == "0" ? durationUnits[1] : nil)
    else {
        throw Complaint(
            suffix.isEmpty ? "the duration \(text) has no unit" : "\"\(text)\" is not a duration",
            hint: suffix.isEmpty ? "write \(text)s for seconds; the units are ms, s, m, h, d" : durationHint)
    }
    let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
    let (nanoseconds, overflowAgain) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    guard !overflow, !overflowAgain, range.contains(Interval(nanoseconds: Int64(nanoseconds))) else {
        throw Complaint(
            "\(text) is out of range",
            hint: "from \(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
                + (why.map { "; \($0)" } ?? ""))
    }
    return Interval(nanoseconds: Int64(nanoseconds))
}

private let durationHint = "write a whole number and one of ms, s, m, h, d, such as 250ms or 5m"

/// In the largest unit that needs no fraction.
func durationText(_ interval: Interval) -> String {
    let milliseconds = Int(interval.milliseconds)
    if milliseconds == 0 { return "0s" }
    for unit in durationUnits.reversed() where milliseconds % unit.milliseconds == 0 {
        return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
    }
    return "\(milliseconds)ms"
}

/// Nil: `off`.
func parseRate(_ text: String) throws(Complaint) -> Rate? {
    if text == "off" { return nil }
    guard let rate = Rate(text) else {
        throw Complaint(
            "\"\(text)\" is not a rate",
            hint: "write requests per s, min, h or d, such as 100/min, from 1 to \(Rate.counts.upperBound); or off")
    }
    return rate
}

func parseBoolean(_ text: String) throws(Complaint) -> Bool {
    switch text {
    case "true": return true
    case "false": return false
    default:
        let lower = text.lowercased()
        let meant =
            ["yes", "on", "y", "1", "true"].contains(lower)
            ? "true" : ["no", "off", "n", "0", "false"].contains(lower) ? "false" : nil
        throw Complaint("\"\(text)\" is neither true nor false", hint: meant.map { "write \($0)" })
    }
}

func parseChoice(_ text: String, _ words: [String]) throws(Complaint) -> String {
    guard !words.contains(text) else { return text }
    throw Complaint(
        "\"\(text)\" is not one of \(words.joined(separator: ", "))",
        hint: closest(to: text, among: words).map { "did you mean \"\($0)\"?" })
}

func parseWord(_ text: String, _ rule: WordRule) throws(Complaint) -> String {
    guard rule.accepts(text) else {
        throw Complaint("\"\(text)\" \(rule.fault)", hint: "use \(rule.alphabet)")
    }
    return text
}

func parseText(_ text: String) throws(Complaint) -> String {
    guard !text.isEmpty else { throw Complaint("the value is empty") }
    guard text.utf8.count <= 1_024 else { throw Complaint("the value is longer than 1,024 bytes") }
    guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
        throw Complaint("the value contains a control character or a line break")
    }
    return text
}

func parseSecret(_ text: String, minimum: Int) throws(Complaint) -> Secret {
    guard !text.isEmpty else { throw Complaint("the secret is empty") }
    guard text.utf8.count >= minimum else {
        throw Complaint(
            "the secret has \(text.utf8.count) bytes and needs at least \(minimum)",
            hint: "make one with: openssl rand -hex 32")
    }
    return Secret(text)
}

func parseClaimSource(_ text: String) throws(Complaint) -> Configuration.IdentityHeader.Value {
    if text == "@authenticated" { return .authenticated }
    guard !text.hasPrefix("@") else {
        throw Complaint("\"\(text)\" is not known", hint: "did you mean \"@authenticated\"?")
    }
    return .claim(try parseText(text))
}

func parseLogTarget(_ text: String) throws(Complaint) -> Configuration.Logs.Target {
    switch text {
    case "off": return .off
    case "stdout", "-": return .standardOutput
    default:
        // `sdtout` and `none` are mistakes rather than files.
        guard text.utf8.contains(UInt8(ascii: "/")) || text.utf8.contains(UInt8(ascii: ".")) else {
            throw Complaint(
                "\"\(text)\" is neither off, stdout nor a path",
                hint: closest(to: text, among: ["off", "stdout"]).map { "did you mean \"\($0)\"?" }
                    ?? "write ./\(text) for a file of that name")
        }
        return .file(path: try parseText(text))
    }
}
