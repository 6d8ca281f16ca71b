internal import GatewayCore
internal import Wire

/// `gateway keys …`
enum KeyCommands {
    static let dryRun = Option(name: "dry-run", value: nil, help: "only say what would come of it")

    @Sendable static func list(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "GET", "/api/v1/keys") { KeyReports.list($0) }
    }

    @Sendable static func retire(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = []
        switch (call.options["in"], call.options["at"]) {
        case (let text?, nil):
            guard case .seconds(let seconds)? = BlockLength(text) else {
                throw CommandFailure(.usage, "--in \"\(text)\" is no time; write 30m, 12h or 7d")
            }
            guard seconds <= 31_536_000 else { throw CommandFailure(.usage, "--in is at most 365d") }
            members.append(.init("in_seconds", .integer(seconds)))
        case (nil, let text?):
            guard WallTime(text: text) != nil else {
                throw CommandFailure(.usage, "--at \"\(text)\" is no time; write 2026-11-29T07:00:00Z, in UTC")
            }
            members.append(.init("at", .string(text)))
        case (.some, .some): throw CommandFailure(.usage, "either --in or --at, not both")
        default:
            throw CommandFailure(.usage, "say when: --in TIME or --at TIME\nusage: gateway keys retire KEY --in 24h")
        }
        if call.has("last") { members.append(.init("last", true)) }
        return try step("retire", call, members)
    }

    @Sendable static func add(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = [.init("id", .string(call.operands[0]))]
        switch (call.options["secret-file"], call.options["pem-file"]) {
        case (let path?, nil):
            var secret = try RevocationCommands.bytes(of: path)[...]
            // As the configuration reads a secret_file: the line break of editors and echo is no part of it.
            if secret.last == UInt8(ascii: "\n") {
                secret.removeLast()
                if secret.last == UInt8(ascii: "\r") { secret.removeLast() }
            }
            guard let text = String(validating: secret, as: UTF8.self) else {
                throw CommandFailure(.usage, "\(path) holds bytes that are no text; name it in the configuration")
            }
            members.append(.init("secret", .string(text)))
        case (nil, let path?): members.append(.init("pem", .string(try RevocationCommands.contents(of: path))))
        default: throw CommandFailure(.usage, "either --secret-file or --pem-file holds the key")
        }
        if let algorithms = call.options["algorithms"] {
            members.append(.init("algorithms", .string(algorithms.replacing(",", with: " "))))
        }
        if let issuer = call.options["issuer"] { members.append(.init("issuer", .string(issuer))) }
        return try OperatorCommands.ask(call, "POST", "/api/v1/keys", body: .object(members)) { KeyReports.added($0) }
    }

    @Sendable static func remove(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try step("remove", call, call.has("in-use") ? [.init("in_use", true)] : [])
    }

    @Sendable static func revoke(_ call: Invocation) throws(CommandFailure) -> ExitCode { try step("revoke", call, []) }

    @Sendable static func rollback(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try step("rollback", call, [])
    }

    private static func step(
        _ step: String, _ call: Invocation, _ members: [JSONValue.Member]
    ) throws(CommandFailure) -> ExitCode {
        var members = members
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        if call.has("dry-run") { members.append(.init("dry_run", true)) }
        let path = "/api/v1/keys/\(RevocationCommands.percentEncoded(call.operands[0]))/\(step)"
        return try OperatorCommands.ask(call, "POST", path, body: .object(members)) { KeyReports.stepped($0) }
    }

    @Sendable static func verify(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let path = call.options["token-file"] else {
            guard !call.has("expect") else { throw CommandFailure(.usage, "--expect is about a --token-file") }
            return try prove(call)
        }
        let expected = call.options["expect"] ?? "accepted"
        guard ["accepted", "refused"].contains(expected) else {
            throw CommandFailure(.usage, "--expect is accepted or refused")
        }
        guard let token = UnverifiedToken(try RevocationCommands.contents(of: path)) else {
            throw CommandFailure(.usage, "\(path) does not hold a JWT")
        }
        return try OperatorCommands.ask(
            call, "POST", "/api/v1/keys/verify", body: ["token": .string(token.text)],
            verdict: { proof(of: $0, expecting: expected) }, report: { KeyReports.verdict($0) })
    }

    private static func prove(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "POST", "/api/v1/keys/verify", verdict: { proof(of: $0) }) {
            KeyReports.proofs($0)
        }
    }

    /// Whether every key that was tried is as it should be.
    static func proof(of document: JSONValue) -> ExitCode {
        guard let proofs = document["proofs"]?.array else { return .failed }
        return proofs.allSatisfy { [.boolean(true), .null].contains($0["as_expected"]) } ? .ok : .failed
    }

    /// Whether the token is told what was expected.
    static func proof(of document: JSONValue, expecting expected: String) -> ExitCode {
        document["verdict"]?["result"]?.string == expected ? .ok : .failed
    }
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum KeyReports {
    static func list(_ document: JSONValue) -> String {
        let keys = document["keys"]?.array ?? []
        guard !keys.isEmpty else { return "there are no keys\n" }
        var table = TextTable(
            "KEY", "STATE", "ALGORITHMS", "FINGERPRINT", "REQUESTS", "LAST USED", "TOKENS", "USERS", "LAST EXPIRES")
        for key in keys {
            var state = word(key, "state")
            if let time = key["issued_before"]?.string { state += ", revoked before \(shortTime(printable(time)))" }
            if state == "retiring", let until = key["until"]?.string {
                state += " until \(shortTime(printable(until)))"
            }
            table.append(
                word(key, "key"), state,
                (key["algorithms"]?.array ?? []).compactMap { $0.string.map(printable) }.joined(separator: ","),
                word(key, "fingerprint"), "\(key["requests"]?.integer ?? 0)", time(key, "last_used"),
                "\(key["tokens"]?.integer ?? 0)", "\(key["users"]?.integer ?? 0)", time(key, "last_expiry"))
        }
        var text = table.text
        let added = (document["added"]?.array ?? []).compactMap { $0.string.map(printable) }
        if !added.isEmpty {
            text += "Added at run time, and not in the configuration: \(added.joined(separator: ", ")).\n"
        }
        let hidden = (document["hidden"]?.array ?? []).compactMap { $0.string.map(printable) }
        if !hidden.isEmpty {
            text +=
                "Added at run time, and in the configuration, too: \(hidden.joined(separator: ", ")); "
                + "gateway keys remove, when every replica's has it.\n"
        }
        let unreadable = (document["unreadable"]?.array ?? []).compactMap { $0.string.map(printable) }
        if !unreadable.isEmpty {
            text +=
                "Added at run time, and cannot be opened here (see the log): \(unreadable.joined(separator: ", ")).\n"
        }
        return text + "Requests, tokens and users are those of this gateway since it started.\n"
    }

    static func added(_ document: JSONValue) -> String {
        let key = document["key"] ?? .null
        return "\(word(key, "key")) is accepted, fingerprint \(word(key, "fingerprint")); "
            + "put it into the configuration, too, when there is time\(OperatorReports.localNote(document))\n"
    }

    static func stepped(_ document: JSONValue) -> String {
        let isDry = document["dry_run"] == .boolean(true)
        let key = word(document, "key")
        var text = "\(key) \(isDry ? "would be" : "is") accepted again"
        if document["stays"] == .boolean(true) {
            text =
                "\(key) stays accepted here, from the configuration; replicas whose configuration lacks it "
                + "\(isDry ? "would refuse" : "refuse") its tokens now"
        }
        if let from = document["refused_from"]?.string {
            text = "\(key) \(isDry ? "would be" : "is") refused from \(shortTime(printable(from))) on"
            let (tokens, users) = (document["tokens_cut"]?.integer ?? 0, document["users_cut"]?.integer ?? 0)
            text +=
                tokens == 0
                ? "; no token that was seen here is cut off"
                : "; \(tokens) token\(tokens == 1 ? "" : "s") of \(users) user\(users == 1 ? "" : "s") seen here "
                    + (tokens == 1 ? "is cut off before it expires" : "are cut off before they expire")
            if let last = document["last_expiry"]?.string { text += " (the last one \(shortTime(printable(last))))" }
            let ends = document["other_keys_until"]?.array ?? []
            let others = (document["other_keys"]?.array ?? []).enumerated().map { index, key in
                let name = printable(key.string ?? "")
                let end = index < ends.count ? ends[index].string : nil
                return end.map { "\(name) (until \(shortTime(printable($0))))" } ?? name
            }
            text +=
                others.isEmpty
                ? "\nno other key is accepted then" : "\nstill accepted: \(others.joined(separator: ", "))"
        }
        if let time = document["replaces_issued_before"]?.string {
            text +=
                "\nthis takes the place of what was revoked before, tokens issued before \(shortTime(printable(time))): "
                + "a rollback would accept those again"
        }
        let twins = (document["same_material"]?.array ?? []).compactMap { $0.string.map(printable) }
        if !twins.isEmpty {
            text += "\nthe same key is also called \(twins.joined(separator: ", ")), which this does not touch"
        }
        let left = (document["not_taken_back"]?.array ?? []).compactMap { $0.string.map(printable) }
        if !left.isEmpty {
            text += "\nnot taken back, since it was said of them alone: \(left.joined(separator: ", "))"
        }
        return "\(text)\(OperatorReports.localNote(document))\n"
    }

    static func proofs(_ document: JSONValue) -> String {
        let proofs = document["proofs"]?.array ?? []
        guard !proofs.isEmpty else { return "there are no keys\n" }
        var table = TextTable("KEY", "STATE", "A TOKEN OF IT IS", "")
        for proof in proofs {
            var result = word(proof, "result")
            if result == "not_tried" { result = "not tried: only its issuer can sign; use --token-file" }
            if let reason = proof["reason"]?.string { result += " (\(printable(reason)))" }
            table.append(
                word(proof, "key"), word(proof, "state"), result,
                proof["as_expected"] == .boolean(false) ? "NOT AS EXPECTED" : "")
        }
        return table.text
    }

    static func verdict(_ document: JSONValue) -> String {
        let verdict = document["verdict"] ?? .null
        var text = "the token is \(word(verdict, "result"))"
        if let reason = verdict["reason"]?.string { text += ": \(printable(reason))" }
        if let detail = verdict["detail"]?.string { text += ": \(printable(detail))" }
        if let key = verdict["key"]?.string { text += ", key \(printable(key))" }
        if let subject = verdict["subject"]?.string { text += ", user \(printable(subject))" }
        if let end = verdict["expires_at"]?.string { text += ", expires \(shortTime(printable(end)))" }
        return text + "\n"
    }

    private static func word(_ object: JSONValue, _ name: String) -> String { OperatorReports.string(object, name) }

    private static func time(_ object: JSONValue, _ name: String) -> String {
        object[name]?.string.map { shortTime(printable($0)) } ?? "never"
    }
}
