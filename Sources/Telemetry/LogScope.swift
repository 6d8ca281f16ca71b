/// What an operational line is about: the part of its event's name before the dot. `log.*` is none of them, since what
/// befalls the logs is told whatever their level.
package enum LogScope: String, CaseIterable, Sendable {
    case assertion, block
    case breakGlass = "break_glass"
    case challenge
    case forwardAuth = "forward_auth"
    case gateway, introspection, keys, ledger, limits, listener, lockdown, pressure
    case proxyProtocol = "proxy_protocol"
    case revocation, supervisor, tls, tokens, traffic, upgrade, upstream

    /// Nil for an event of no scope.
    init?(event: String) {
        guard let dot = event.utf8.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        self.init(rawValue: String(event[..<dot]))
    }

    /// Where the scope's level stands in `ScopedLevels`.
    fileprivate var shift: UInt64 { UInt64(LogScope.allCases.firstIndex(of: self)!) * 3 }
}

/// The scopes that have a level of their own, in one word: three bits each, 0 for none. There is room for 21 scopes.
struct ScopedLevels: Hashable {
    var word: UInt64 = 0

    subscript(scope: LogScope) -> LogLevel? {
        get {
            let bits = UInt8(truncatingIfNeeded: word >> scope.shift & 7)
            return bits == 0 ? nil : LogLevel(rawValue: bits - 1)
        }
        set {
            word &= ~(7 << scope.shift)
            if let newValue { word |= UInt64(newValue.rawValue + 1) << scope.shift }
        }
    }
}
