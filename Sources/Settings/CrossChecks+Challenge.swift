internal import Wire

/// A challenge that nobody meets would be mistaken for a protection.
extension CrossChecks {
    private static let section = "login.challenge"

    mutating func checkChallenge() {
        let kind = settings.entries["\(Self.section).kind"]
        guard kind?.isBroken != true else { return }
        switch settings.text("\(Self.section).kind") {
        case "proof_of_work":
            checkThatItIsMet(kind!.place)
            checkSiteverifyIsUnwritten()
        case "siteverify":
            checkThatItIsMet(kind!.place)
            checkSiteverify(kind!.place)
        default: checkChallengeIsUnwritten(isOff: kind.map { $0.place != .fallback } ?? false)
        }
    }

    private mutating func checkThatItIsMet(_ place: Place) {
        if let after = settings.integer("\(Self.section).after"), let limit = settings.integer("login.limit"),
            after >= limit
        {
            findings.error(
                settings.written("\(Self.section).after")?.place ?? place,
                "an address is blocked after \(limit) failures, so nobody would be challenged after \(after)",
                hint: "set \"login.challenge.after\" lower than \"login.limit\"")
        }
        if settings.text("login.action") == "observe" {
            findings.warning(
                place, "with login.action: observe no login is held back, so nobody is challenged",
                hint: "set \"login.action\" to block")
        }
        if let endpoints = settings.entries["login.endpoints"], !endpoints.isBroken, endpoints.items.isEmpty {
            findings.error(
                place, "no request is a login of \"login.endpoints\", so nobody would be challenged",
                hint: "name the logins there, also those that \"login.rules\" are for")
        }
        let secrets = ["\(Self.section).secret", "tokens.ring_secret"]
        if settings.usesRedis, !secrets.contains(where: { isWritten($0) || isWritten("\($0)_file") }) {
            findings.warning(
                place, "each process seals challenges with a secret of its own, so replicas refuse each other's",
                hint: "set \"login.challenge.secret_file\", the same on all replicas (openssl rand -hex 32 makes one)")
        }
    }

    private func isWritten(_ path: String) -> Bool { settings.written(path) != nil }

    private mutating func checkSiteverify(_ place: Place) {
        let section = "\(Self.section).siteverify"
        if !isWritten("\(section).site_key") {
            findings.error(
                place, "a page cannot ask for the CAPTCHA without a site key",
                hint: "set \"login.challenge.siteverify.site_key\", or RECAPTCHA_SITE_KEY")
        } else if let key = settings.text("\(section).site_key"), !key.utf8.allSatisfy(isOfKeys) {
            findings.error(
                settings.place(of: "\(section).site_key"), "no provider gives out such a site key",
                hint: "it has letters, digits and -_. only")
        }
        if !isWritten("\(section).secret"), !isWritten("\(section).secret_file") {
            findings.error(
                place, "the provider verifies no token without a secret",
                hint: "set \"login.challenge.siteverify.secret_file\", or RECAPTCHA_SECRET_KEY")
        }
        if case .web(let address)? = settings.value("\(section).url"), address.isExposed,
            case .boolean(false)? = settings.value("\(section).allow_http")
        {
            findings.error(
                settings.place(of: "\(section).url"),
                "whoever sits between here and \(address.host) could answer for the provider",
                hint: "write https://, or set \"allow_http\" to true")
        }
        if settings.text("\(section).when_away") == "allow", isWritten("\(section).when_away") {
            findings.warning(
                settings.place(of: "\(section).when_away"),
                "nobody is challenged while the provider does not answer",
                hint: "set it to proof_of_work, if that is not meant")
        }
    }

    /// It stands in a page.
    private func isOfKeys(_ byte: UInt8) -> Bool {
        Characters.isDigit(byte) || (0x61...0x7a).contains(Characters.lowercased(byte))
            || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
    }

    private mutating func checkSiteverifyIsUnwritten() {
        tell(
            of: "\(Self.section).siteverify.", "no CAPTCHA is asked for",
            hint: "set \"login.challenge.kind\" to siteverify")
    }

    /// - Parameter isOff: somebody has said so, who may want to have the rest at hand.
    private mutating func checkChallengeIsUnwritten(isOff: Bool) {
        guard !isOff else { return }
        tell(of: "\(Self.section).", "nobody is challenged", hint: "set \"login.challenge.kind\"")
    }

    /// One finding is enough. The variables of a CAPTCHA may be meant for the backend, whose environment is the same.
    private mutating func tell(of prefix: String, _ why: String, hint: String) {
        for row in SettingRows.challenge where row.path.hasPrefix(prefix) {
            guard let entry = settings.written(row.path), !entry.isBroken else { continue }
            let name = row.path.split(separator: ".").last ?? ""
            if case .environment(let variable) = entry.place, row.variables.contains(where: { $0.name == variable }) {
                findings.warning(entry.place, "\(why), so it does nothing here", hint: hint)
                continue
            }
            findings.error(entry.place, "\(why), so \"\(name)\" would do nothing", hint: "\(hint), or remove it")
            return
        }
    }
}
