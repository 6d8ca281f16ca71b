internal import Wire

extension CrossChecks {
    mutating func checkLogin() {
        checkRule("login", block: "login.block")
        if settings.text("login.action") == "observe", settings.written("login.action") != nil {
            findings.warning(
                settings.place(of: "login.action"), "failed logins block nobody: the rule only says what it would do",
                hint: "set action: block when its records are what you expect")
        }
    }

    /// - Parameters:
    ///   - path: of the section.
    ///   - block: the setting of how long the first block lasts.
    mutating func checkRule(_ path: String, block: String) {
        // Their times are kept one by one.
        if settings.text("\(path).count") == "sliding", let limit = settings.integer("\(path).limit"), limit > 1_000 {
            findings.error(
                settings.place(of: "\(path).limit"), "a sliding window counts up to 1000 failures",
                hint: "set a lower limit, or count: fixed")
        }
        guard let factor = settings.integer("\(path).escalation.factor") else { return }
        if factor == 1, settings.written("\(path).escalation.factor") == nil,
            let entry = settings.written("\(path).escalation.max"), !entry.isBroken
        {
            findings.error(
                entry.place, "blocks do not get longer, so this would do nothing",
                hint: "set \"\(path).escalation.factor\", for example 4")
        }
        if factor > 1, let longest = settings.interval("\(path).escalation.max"), let first = settings.interval(block),
            longest < first
        {
            findings.error(
                settings.place(of: "\(path).escalation.max"), "blocks are longer than that from the first one on",
                hint: "set it higher than \"\(block)\"")
        }
    }
}
