internal import Crypto
package import Wire

/// What a token in the hands of an operator says of itself, for revoking it: nothing of it is believed.
package struct UnverifiedToken: Hashable, Sendable {
    /// The compact serialisation. A secret: for the gateway's socket and nothing else.
    package let text: String
    /// `jti`; of a number its text, as the gateway compares it.
    package let id: String?
    /// `exp`, rounded up to the second; nil also for one that is no time of this age, such as one in milliseconds.
    package let expiresAt: WallTime?

    /// - Parameter text: the compact serialisation, with white space around it or `Bearer` before it.
    /// - Returns: nil for what is no JWT.
    package init?(_ text: String) {
        var words = text.split(whereSeparator: \.isWhitespace)
        if words.count == 2, words[0].lowercased() == "bearer" { words.removeFirst() }
        guard words.count == 1 else { return nil }
        let parts = words[0].utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = UnverifiedToken.decoded(Array(parts[1])),
            let claims = try? JSONValue.read(payload), case .object = claims
        else { return nil }
        self.text = String(words[0])
        id = claims["jti"]?.string ?? claims["jti"]?.integer.map { String($0) }
        switch claims["exp"] {
        case .integer(let seconds) where seconds > 0 && seconds < 100_000_000_000:
            expiresAt = WallTime(seconds: Int64(seconds))
        case .decimal(let seconds) where seconds > 0 && seconds < 1e11:
            expiresAt = WallTime(seconds: Int64(seconds.rounded(.up)))
        default: expiresAt = nil
        }
    }

    private static func decoded(_ text: [UInt8]) -> [UInt8]? {
        guard let size = Base64URL.decodedCount(of: text.count) else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        var span = bytes.mutableSpan
        guard Base64URL.decode(text.span, into: &span) == size else { return nil }
        return bytes
    }
}
