internal import Wire

extension CrossChecks {
    mutating func checkLogin() {
        checkRule("login", block: "login.block")
        if settings.text("login.action") == "observe", settings.written("login.action") != nil {
            findings.warning(
                settings.place(of: "login.action"), "failed logins block nobody: the rule only says what it would do",
                hint: "set action: block when its records are what you expect")
        }
        checkLoginRules()
    }

    private mutating func checkLoginRules() {
        let count = settings.counts["login.rules"] ?? 0
        if count > Configuration.Login.mostRules {
            findings.error(
                settings.place(of: "login.rules"), "these are \(count) rules",
                hint: "there may be \(Configuration.Login.mostRules)")
        }
        var names: Set<String> = []
        for path in (0..<count).map({ "login.rules[\($0)]" }) {
            checkRule(path, block: "\(path).block")
            if let entry = settings.written("\(path).name"), let name = settings.text("\(path).name") {
                checkName(name, at: entry.place, &names)
            }
            if let entry = settings.entries["\(path).endpoints"], entry.isEmptyList {
                findings.error(entry.place, "the rule is for no request", hint: "for example [\"POST /auth/mfa\"]")
            }
            let field = settings.written("\(path).failure.field")
            let value = settings.written("\(path).failure.value")
            if let field, value == nil {
                findings.error(
                    field.place, "nothing says which value of the field is a failure",
                    hint: "set \"\(path).failure.value\"")
            }
            if let value, field == nil {
                findings.error(
                    value.place, "nothing says which field has this value", hint: "set \"\(path).failure.field\"")
            }
            let member = settings.written("\(path).failure.json.member")
            if field == nil, member == nil, let entry = settings.entries["\(path).failure.statuses"], entry.isEmptyList
            {
                findings.error(
                    entry.place, "nothing would be a failure", hint: "name a status, or \"\(path).failure.field\"")
            }
            checkMember(path, member)
            checkKey(path)
        }
    }

    private mutating func checkMember(_ path: String, _ member: ResolvedSettings.Entry?) {
        let values = settings.written("\(path).failure.json.values")
        if let values, member == nil {
            findings.error(
                values.place, "nothing says which member has these values",
                hint: "set \"\(path).failure.json.member\"")
        }
        if let values, values.isEmptyList {
            findings.error(
                values.place, "no value of the member would be a failure",
                hint: "leave it out: any but null is one then")
        }
        guard let member, let text = settings.text("\(path).failure.json.member") else { return }
        let names = text.split(separator: ".", omittingEmptySubsequences: false)
        if names.contains("") || names.count > 8 {
            findings.error(
                member.place, "\"\(text)\" names no member",
                hint: "for example error, or error.code; at most 8 names deep")
        }
    }

    /// An account must be found to be counted, and its locks are all of one length.
    private mutating func checkKey(_ path: String) {
        guard let key = settings.written("\(path).key"), let text = settings.text("\(path).key"), text != "address"
        else { return }
        if settings.written("accounts.member") == nil {
            findings.error(
                key.place, "accounts are not looked at, so nothing can be counted by \(text)",
                hint: "set \"accounts.member\", or key: address")
        }
        if let factor = settings.written("\(path).escalation.factor"), !factor.isBroken,
            settings.integer("\(path).escalation.factor") ?? 1 > 1
        {
            findings.error(
                factor.place, "locks of accounts do not get longer", hint: "remove it, or set key: address")
        }
        guard settings.written("accounts.member") != nil else { return }
        let limited = endpointsLimitedByAddress
        for item in settings.items("\(path).endpoints") {
            guard case .endpoint(let endpoint) = item.value, !limited.contains(spelled(endpoint)) else { continue }
            findings.warning(
                item.place, "nothing limits an address here: a guesser may name another account each time",
                hint: "add a rule with key: address for \(item.written)")
        }
    }

    /// Those of rules that block addresses.
    private var endpointsLimitedByAddress: Set<String> {
        let further = (0..<(settings.counts["login.rules"] ?? 0)).map { "login.rules[\($0)]" }
        let rules = (["login"] + further).filter {
            settings.text("\($0).key") ?? "address" == "address" && settings.text("\($0).action") != "observe"
        }
        var all: Set<String> = []
        for item in rules.flatMap({ settings.items("\($0).endpoints") }) {
            if case .endpoint(let endpoint) = item.value { all.insert(spelled(endpoint)) }
        }
        return all
    }

    /// As requests are compared with it.
    private func spelled(_ endpoint: Configuration.Login.Endpoint) -> String {
        let path = endpoint.path.lowercased()
        return endpoint.method + " " + (path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    private mutating func checkName(_ name: String, at place: Place, _ names: inout Set<String>) {
        // Those that are taken by the plain settings, by accounts, and in Redis.
        if ["login", "accounts", "blocks"].contains(name) {
            findings.error(place, "the name \"\(name)\" is taken by the gateway itself", hint: "choose another one")
        } else if name.utf8.count > 32 {
            findings.error(place, "the name of a rule has at most 32 characters", hint: "choose a shorter one")
        } else if !names.insert(name).inserted {
            findings.error(place, "there are two rules of the name \"\(name)\"", hint: "give one another name")
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

extension ResolvedSettings.Entry {
    /// Somebody has written `[]`.
    var isEmptyList: Bool { items.isEmpty && !isBroken && place != .fallback }
}
