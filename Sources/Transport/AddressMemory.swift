package import Wire

/// Addresses of names that are asked for often: each is looked up by one question at a time, and those that were known last
/// are good while a name server does not answer. Names are of the configuration, so they are few.
package struct AddressMemory {
    private struct Known {
        var addresses: [IPAddress]
        var until: Instant
    }

    private let life: Interval
    private var known: [String: Known] = [:]
    private var waiting: [String: [UInt64]] = [:]

    /// - Parameter life: how long addresses are known without being looked up again.
    package init(for life: Interval) { self.life = life }

    /// Nil: they must be looked up.
    package func addresses(of host: String, at now: Instant) -> [IPAddress]? {
        guard let known = known[host], now < known.until else { return nil }
        return known.addresses
    }

    /// True: whoever waits under this ticket is the first, and has to ask.
    package mutating func wait(for host: String, _ ticket: UInt64) -> Bool {
        waiting[host, default: []].append(ticket)
        return waiting[host]?.count == 1
    }

    /// What a look-up came to: what is to be told, and to whom.
    package mutating func take(
        _ result: Result<[IPAddress], ResolveError>, of host: String, at now: Instant
    ) -> (result: Result<[IPAddress], ResolveError>, tickets: [UInt64]) {
        let tickets = waiting.removeValue(forKey: host) ?? []
        switch (result, known[host]) {
        case (.success(let addresses), _): known[host] = Known(addresses: addresses, until: now + life)
        case (.failure, let last?):
            known[host]?.until = now + life
            return (.success(last.addresses), tickets)
        case (.failure, nil): break
        }
        return (result, tickets)
    }
}
