internal import GatewayCore
internal import Glibc
internal import Wire

/// The commands about tokens that are worth nothing any more.
enum RevocationCommands {
    /// What says which tokens are meant; as in the API.
    static let targets = [
        Option(name: "sub", value: "USER", help: "the tokens of this user, as the audit log names him"),
        Option(name: "jti", value: "ID", help: "the one token with this id"),
        Option(name: "role", value: "ROLE", help: "the tokens with this role"),
        Option(name: "key", value: "KEY", help: "the tokens that this key has signed"),
        Option(name: "iss", value: "ISSUER", help: "the tokens of this issuer"),
    ]
    static let tokenFile = Option(
        name: "token-file", value: "FILE", help: "the one token in this file, or - for standard input")

    /// A token may be used a while behind its `exp`: the longest leeway and the longest grace, and a minute.
    private static let afterExpiry = Interval.seconds(420)

    @Sendable static func revoke(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = []
        if let path = call.options["token-file"] {
            guard target(call) == nil else { throw usage(call, "--token-file says by itself what is revoked") }
            guard !call.has("issued-before") else { throw usage(call, "--issued-before says nothing of one token") }
            members = try oneToken(try contents(of: path), from: path, isTimed: call.has("for"))
        } else {
            guard let target = target(call) else {
                throw usage(call, "what is to be revoked is not said, or said twice")
            }
            members.append(.init(target.kind, .string(target.name)))
        }
        if let time = call.options["issued-before"] {
            members.append(.init("issued_before", Int(time).map { .integer($0) } ?? .string(time)))
        }
        if let text = call.options["for"] {
            switch BlockLength(text) {
            case .permanent: break
            case .seconds(let seconds): members.append(.init("duration_seconds", .integer(seconds)))
            case nil:
                throw CommandFailure(
                    .usage, "\"\(text)\" is no time; write 30s, 10m, 12h, 7d (at most 3650d) or permanent")
            }
        }
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        return try OperatorCommands.ask(call, "POST", "/api/v1/revocations", body: .object(members)) {
            RevocationReports.revoked($0)
        }
    }

    @Sendable static func unrevoke(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let target = target(call) else {
            throw usage(call, "what is to be taken back is not said, or said twice")
        }
        let path = "/api/v1/revocations/\(target.kind)/\(percentEncoded(target.name))"
        return try OperatorCommands.ask(call, "DELETE", path) { RevocationReports.unrevoked(target, $0) }
    }

    @Sendable static func revocations(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let limit = try OperatorCommands.limit(call)
        return try OperatorCommands.ask(call, "GET", "/api/v1/revocations?limit=\(limit)") {
            RevocationReports.revocations($0)
        }
    }

    struct Target {
        var kind: String
        var name: String
    }

    /// Nil unless exactly one is named.
    private static func target(_ call: Invocation) -> Target? {
        let named = targets.compactMap { option in
            call.options[option.name].map { Target(kind: option.name, name: $0) }
        }
        return named.count == 1 ? named[0] : nil
    }

    private static func usage(_ call: Invocation, _ message: String) -> CommandFailure {
        let names = targets.map(\.form).joined(separator: " | ")
        return CommandFailure(.usage, "\(message)\none of: \(names)")
    }

    private static func oneToken(
        _ text: String, from path: String, isTimed: Bool
    ) throws(CommandFailure) -> [JSONValue.Member] {
        // Never the text itself: it may still be good.
        guard let token = UnverifiedToken(text) else { throw CommandFailure(.usage, "\(path) does not hold a JWT") }
        guard let id = token.id else {
            throw CommandFailure(
                .usage,
                "the token has no jti that it could be revoked by; revoke its user's instead: "
                    + "--sub USER --issued-before now")
        }
        var members: [JSONValue.Member] = [.init("jti", .string(id))]
        if let end = token.expiresAt, !isTimed {
            // In milliseconds: an Interval ends after 292 years, and what the token says does not.
            let left = (end + afterExpiry).milliseconds - WallTime.now().milliseconds
            guard left > 0 else { throw CommandFailure(.usage, "the token has expired at \(end.text)") }
            members.append(
                .init("duration_seconds", .integer(min(BlockLength.longest, Int(left / 1_000) + 1))))
        }
        return members
    }

    static func contents(of path: String) throws(CommandFailure) -> String {
        String(decoding: try bytes(of: path), as: UTF8.self)
    }

    /// At most 1 MiB of a file, or of standard input for `-`.
    static func bytes(of path: String) throws(CommandFailure) -> [UInt8] {
        // Its name would be printed, and kept wherever what is printed is kept.
        guard UnverifiedToken(path) == nil else {
            throw CommandFailure(.usage, "--token-file is the name of a file, not the token; - is standard input")
        }
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandFailure(.usage, "\(path): \(String(cString: strerror(errno)))") }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= 1 << 20 {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw CommandFailure(.usage, "\(path): \(String(cString: strerror(errno)))") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// Everything but RFC 3986 §2.3 unreserved characters.
    static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum RevocationReports {
    static func revoked(_ document: JSONValue) -> String {
        guard let revocation = document["revocation"] else { return "revoked\n" }
        let note = document["note"]?.string.map { "\n(\(printable($0)))" } ?? ""
        return "\(subject(revocation)) is refused from now on\(ending(revocation))\(note)"
            + "\(OperatorReports.localNote(document))\n"
    }

    static func unrevoked(_ target: RevocationCommands.Target, _ document: JSONValue) -> String {
        let note = OperatorReports.localNote(document)
        guard let lifted = document["lifted"], lifted != .null else {
            return "\(target.kind) \(printable(target.name)) was not revoked\(note)\n"
        }
        return "\(subject(lifted)) is accepted again\(note)\n"
    }

    static func revocations(_ document: JSONValue) -> String {
        let revocations = document["revocations"]?.array ?? []
        guard !revocations.isEmpty else { return "nothing is revoked\n" }
        var table = TextTable("WHAT", "NAME", "ISSUED BEFORE", "EXPIRES IN", "SINCE", "ACTOR", "REASON")
        for one in revocations {
            let before = one["issued_before"]?.string.map { shortTime(printable($0)) } ?? "any time"
            table.append(
                OperatorReports.string(one, "kind"), OperatorReports.string(one, "name"), before,
                one["ttl_seconds"]?.integer.map(relativeTime) ?? "never",
                shortTime(OperatorReports.string(one, "since")), OperatorReports.string(one, "actor"),
                OperatorReports.string(one, "reason"))
        }
        let rest = (document["count"]?.integer ?? revocations.count) - revocations.count
        return table.text + (rest > 0 ? "and \(rest) more; --limit shows up to 10000\n" : "")
    }

    /// `every token of sub alice that was issued before 2026-11-29 07:00:00Z`
    private static func subject(_ revocation: JSONValue) -> String {
        let kind = OperatorReports.string(revocation, "kind")
        let name = OperatorReports.string(revocation, "name")
        if kind == "jti" { return "the token with jti \(name)" }
        var text = "every token of \(kind) \(name)"
        if let time = revocation["issued_before"]?.string {
            text += " that was issued before \(shortTime(printable(time)))"
        }
        return text
    }

    private static func ending(_ revocation: JSONValue) -> String {
        guard let seconds = revocation["ttl_seconds"]?.integer else { return ", until somebody takes it back" }
        return " for \(relativeTime(seconds))"
    }
}
