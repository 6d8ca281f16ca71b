/// Where a connection to a server stands.
extension ServerConnection {
    enum Phase {
        /// → `handshake`, `head`, `closed`
        case connecting
        /// TLS: until both sides know the keys. → `head`, `closed`
        case handshake
        /// In the pool. Whatever arrives now was not asked for. → `head`, `closed`
        case idle
        /// The response head, or interim ones before it. → `verdict`, `held`, `body`, `tunnel`, `closed`
        case head
        /// The head of a login's answer is there, whose body says whether it failed. → `held`, `body`, `closed`
        case verdict
        /// The head of a failed login is kept until the Ledger has counted it. → `judged`, `closed`
        case held
        /// The Ledger has spoken: the kept head may pass. → `body`, `closed`
        case judged
        /// → `idle`, `closed`
        case body
        /// Behind a 101: bytes of another protocol. Never goes back to the pool. → `closed`
        case tunnel
        case closed
    }

    /// What an exchange is for, beside its client.
    enum Errand {
        case request
        /// It also shows whether a half-open circuit may close; once that is told it is a mere `request`.
        case probe
    }

    /// How far the request of an exchange has got.
    enum Departure {
        /// Nothing of it was given to a connection that was kept. → `begun`, `impossible`, `brokenOff`
        case due
        /// → `brokenOff`
        case begun
        /// The connection was gone before the first byte: all of it is kept for another one.
        case impossible
        /// The connection takes nothing more of it.
        case brokenOff
    }
}
