package import Wire

/// Something that changed what the gateway does, and is no block of an address and no lock of an account: a revocation, a
/// lockdown, a reload, a level. By an operator, by hand in Redis, or because its time was over.
package struct AuditOperation: Sendable {
    /// In the form `configuration_reloaded`; docs/logs.md lists them.
    package var action: String
    /// A sentence for people. It says all that the fields say, for those who only grep.
    package var detail: String
    /// Who: `gateway`, `redis`, or the operator as the admin server knows them.
    package var actor: String
    /// What it is about, as the command names it: a route, a network, a limit, a kind of tokens; nil: the gateway as a whole.
    package var target: String?
    /// What was said as the reason, or what ended it; nil or empty: nothing.
    package var trigger: String?
    /// Nil: it has no end, or is one.
    package var expiresAt: WallTime?

    package init(
        _ action: String, _ detail: String, by actor: String, of target: String? = nil, because trigger: String? = nil,
        until expiresAt: WallTime? = nil
    ) {
        self.action = action
        self.detail = detail
        self.actor = actor
        self.target = target
        self.trigger = trigger
        self.expiresAt = expiresAt
    }
}

extension AuditLog {
    package func record(_ operation: AuditOperation, client: IPAddress? = nil) {
        record(AuditEvent(.operation(operation), client: client))
    }
}
