internal import Wire

extension Assembly {
    /// - Parameter path: of the section.
    func escalation(_ path: String) -> Configuration.Login.Escalation? {
        let factor = integer("\(path).factor")
        return factor > 1 ? .init(factor: factor, longest: interval("\(path).max")) : nil
    }

    func loginRules() -> [Configuration.Login.Rule] {
        (0..<(settings.counts["login.rules"] ?? 0)).map { loginRule("login.rules[\($0)]") }
    }

    private func loginRule(_ path: String) -> Configuration.Login.Rule {
        let kind = Configuration.Login.Class(rawValue: text("\(path).class")) ?? .login
        let usual = kind.usual
        let written = settings.entries["\(path).failure.statuses"].map { !$0.items.isEmpty || $0.isEmptyList } ?? false
        let statuses = written ? integers(path) : usual.statuses
        var rule = Configuration.Login.Rule(
            name: text("\(path).name"), kind: kind,
            endpoints: settings.items("\(path).endpoints").compactMap {
                if case .endpoint(let endpoint) = $0.value { endpoint } else { nil }
            },
            failureStatuses: statuses, limit: settings.integer("\(path).limit") ?? usual.limit,
            window: settings.interval("\(path).window") ?? usual.window,
            block: settings.interval("\(path).block") ?? usual.block)
        if let name = settings.text("\(path).failure.field"), let value = settings.text("\(path).failure.value") {
            rule.failureField = (name, value)
        }
        if let member = settings.text("\(path).failure.json.member") {
            rule.failureMember = (member, settings.items("\(path).failure.json.values").map(\.written))
        }
        rule.key = .init(rawValue: text("\(path).key")) ?? .address
        rule.count = .init(rawValue: text("\(path).count")) ?? .fixed
        rule.action = .init(rawValue: text("\(path).action")) ?? .block
        rule.escalation = escalation("\(path).escalation")
        return rule
    }

    private func integers(_ path: String) -> [Int] {
        settings.items("\(path).failure.statuses").compactMap {
            if case .integer(let status) = $0.value { status } else { nil }
        }
    }
}
