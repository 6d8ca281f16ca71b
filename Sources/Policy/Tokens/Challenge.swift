/// The WWW-Authenticate field of a refusal (RFC 6750 §3).
package enum Challenge {
    /// The field's value; nil when the refusal carries none. A 401 always has one (RFC 9110 §15.5.2); it names an error
    /// only when something was presented. A 403 has one when another token could help.
    package static func value(for refusal: Refusal, realm: String = "gateway") -> String? {
        guard refusal.status == 401 || refusal.bearerError != nil else { return nil }
        var value = "Bearer realm=\"\(quoted(realm))\""
        if let error = refusal.bearerError {
            value += ", error=\"\(error)\", error_description=\"\(quoted(refusal.title.description))\""
        }
        return value
    }

    /// RFC 6750 §3 allows neither quotation mark nor backslash, nor anything outside printable ASCII.
    private static func quoted(_ text: String) -> String {
        String(
            decoding: text.utf8.filter { (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }, as: UTF8.self)
    }
}
