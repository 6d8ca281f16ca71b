package import Settings
package import Wire

/// What asks a provider about the token of a CAPTCHA: reCAPTCHA, hCaptcha and Turnstile take the same form, but
/// for the site key.
package enum SiteverifyRequest {
    /// One request per connection, as of keys.
    package static func bytes(
        about token: [UInt8], of client: IPAddress, _ siteverify: Configuration.Login.Siteverify
    ) -> [UInt8] {
        let url = siteverify.url
        var body =
            Array("secret=".utf8) + FormText.encode(siteverify.secret.revealed) + Array("&response=".utf8)
            + FormText.encode(token) + Array("&remoteip=".utf8) + FormText.encode(Array(client.description.utf8))
        // Else a token of anybody's site would do: only hCaptcha asks which one it is to be of.
        if siteverify.provider == .hcaptcha {
            body += Array("&sitekey=".utf8) + FormText.encode(Array(siteverify.siteKey.utf8))
        }
        let head = """
            POST \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\nUser-Agent: gateway\r\n\
            Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\n\
            Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \(body.count)\r\n\r\n
            """
        return Array(head.utf8) + body
    }
}

/// What a provider says of a token.
package enum SiteverifyAnswer: Hashable, Sendable {
    case good
    /// Not solved, solved before, too old, or on the page of another host.
    case bad
    /// It does not know us: nobody can solve a CAPTCHA until that is mended.
    case secretUnknown
    /// It cannot be understood.
    case unreadable
}

/// Reads answers as strictly as claims of tokens.
package final class SiteverifyReader {
    /// Bytes of an answer: real ones have some hundred.
    package static let maximumBytes = 16 << 10

    private var scanner = ClaimScanner(capacity: SiteverifyReader.maximumBytes)
    private var plan = ClaimPlan()
    private let success: Int
    private let hostname: Int
    private let solvedAt: Int
    private let score: Int
    private let errors: Int
    /// Of reCAPTCHA v3, which finds everybody good, more or less: what its documentation takes for people.
    private static let leastScore = 0.5

    package init() {
        success = plan.member("success")
        hostname = plan.member("hostname")
        solvedAt = plan.member("challenge_ts")
        score = plan.member("score")
        errors = plan.member("error-codes")
    }

    /// - Parameter life: how long ago the CAPTCHA may have been solved.
    package func read(
        _ bytes: [UInt8], _ siteverify: Configuration.Login.Siteverify, life: Interval, at now: WallTime
    ) -> SiteverifyAnswer {
        guard scanner.scan(json: bytes.span, plan) else { return .unreadable }
        switch scanner.value(success).kind {
        case .true: return isAccepted(siteverify, life, now) ? .good : .bad
        case .false: return blamesSecret ? .secretUnknown : .bad
        case .absent, .string, .number, .null, .list, .object: return .unreadable
        }
    }

    private func isAccepted(
        _ siteverify: Configuration.Login.Siteverify, _ life: Interval, _ now: WallTime
    ) -> Bool {
        if !siteverify.hostnames.isEmpty {
            guard let host = string(hostname), siteverify.hostnames.contains(host.lowercased()) else { return false }
        }
        // Their own limits are minutes; this one is the operator's. A time in another form says nothing.
        if let text = string(solvedAt), let then = WallTime(text: text), now - then > life { return false }
        let found = scanner.value(score)
        guard siteverify.provider == .recaptcha, found.kind == .number else { return true }
        return (Double(text(found)) ?? 0) >= SiteverifyReader.leastScore
    }

    private var blamesSecret: Bool {
        let list = scanner.value(errors)
        guard list.kind == .list else { return false }
        for index in 0..<list.end - list.start {
            let code = scanner.element(index, of: list)
            if code.kind == .string, text(code).hasSuffix("-input-secret") { return true }
        }
        return false
    }

    private func string(_ slot: Int) -> String? {
        let value = scanner.value(slot)
        return value.kind == .string ? text(value) : nil
    }

    private func text(_ value: ClaimScanner.Value) -> String {
        String(decoding: scanner.bytes[value.start..<value.end], as: UTF8.self)
    }
}
