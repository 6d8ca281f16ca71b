package import Settings
internal import Wire

/// The WWW-Authenticate field of a refusal (RFC 6750 §3).
package enum Challenge {
    /// What a route demands, as attributes of its challenges; made once per configuration.
    package struct Demands: Sendable {
        /// RFC 6750 §3: the scopes that are needed.
        let scope: String
        /// RFC 9470 §3: `acr_values` and `max_age`.
        let login: String

        package init(_ route: Configuration.Route) {
            let scopes = route.requiredScopes.map(Challenge.quoted).joined(separator: " ")
            scope = scopes.isEmpty ? "" : ", scope=\"\(scopes)\""
            let levels = route.stepUp.levels.map(Challenge.quoted).joined(separator: " ")
            let age = route.stepUp.maximumAge.map { ", max_age=\($0.seconds)" } ?? ""
            login = (levels.isEmpty ? "" : ", acr_values=\"\(levels)\"") + age
        }
    }

    /// The field's value; nil when the refusal carries none. A 401 always has one (RFC 9110 §15.5.2); it names an error
    /// only when something was presented. A 403 has one when another token could help.
    /// - Parameter demands: of the route, where one was found.
    package static func value(
        for refusal: Refusal, realm: String = "gateway", demands: Demands? = nil
    ) -> String? {
        guard refusal.status == 401 || refusal.bearerError != nil else { return nil }
        var value = "Bearer realm=\"\(quoted(realm))\""
        if let error = refusal.bearerError {
            value += ", error=\"\(error)\", error_description=\"\(quoted(refusal.title.description))\""
        }
        if refusal == .missingScope { value += demands?.scope ?? "" }
        if refusal == .loginTooWeak { value += demands?.login ?? "" }
        return value
    }

    /// RFC 6750 §3 allows neither quotation mark nor backslash, nor anything outside printable ASCII.
    private static func quoted(_ text: String) -> String {
        String(
            decoding: text.utf8.filter { (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }, as: UTF8.self)
    }
}
