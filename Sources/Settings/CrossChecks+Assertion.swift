/// Rules about what is signed for backends.
extension CrossChecks {
    mutating func checkAssertion() {
        func written(_ name: String) -> ResolvedSettings.Entry? { settings.written("assertion.\(name)") }
        guard let header = written("header") else {
            for name in ["issuer", "audience", "lifetime", "algorithm", "key_file", "jwks_path", "jwks_max_age"] {
                guard let entry = written(name) else { continue }
                findings.error(
                    entry.place, "no assertion is signed, so \"\(name)\" would do nothing",
                    hint: "set \"assertion.header\", for example to X-Identity-Assertion")
            }
            for name in settings.names["upstreams"] ?? [] {
                guard let entry = settings.written("upstreams.\(name).assertion_audience") else { continue }
                findings.error(
                    entry.place, "no assertion is signed, so \"assertion_audience\" would do nothing",
                    hint: "set \"assertion.header\", for example to X-Identity-Assertion")
            }
            return
        }
        for (name, example) in [("issuer", "https://gateway.example.org"), ("audience", "backends")]
        where written(name) == nil {
            findings.error(
                header.place, "the assertions have no \(name)", hint: "for example assertion.\(name): \(example)")
        }
        if let name = settings.text("assertion.header") { checkHeader(name, at: header.place) }
        checkKeySetPath()
    }

    private mutating func checkHeader(_ name: String, at place: Place) {
        let folded = Self.variable(of: name)
        for other in settings.names["identity.headers"] ?? [] where Self.variable(of: other) == folded {
            findings.error(
                place, "backends cannot tell the header \"\(name)\" from \"\(other)\" of \"identity.headers\"",
                hint: "choose another name")
        }
        if Self.reserved.contains(folded) {
            findings.error(
                place, "the header \"\(name)\" belongs to HTTP or to the gateway itself", hint: "choose an X- name")
        }
    }

    /// A backend's own document must not be hidden by ours without a word.
    private mutating func checkKeySetPath() {
        guard let path = settings.text("assertion.jwks_path") else { return }
        let place = settings.place(of: "assertion.jwks_path")
        let hint = "choose another path, or leave it out: the admin listener has the keys as well"
        if path == "/health" {
            findings.error(place, "the path \"/health\" is the gateway's own already", hint: hint)
        }
        for index in 0..<(settings.counts["routes"] ?? 0) where settings.text("routes[\(index)].path") == path {
            findings.error(place, "it would hide what routes[\(index)] serves at \"\(path)\"", hint: hint)
        }
    }
}
