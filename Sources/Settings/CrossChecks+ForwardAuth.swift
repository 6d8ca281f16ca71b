internal import Wire

/// Rules about the addresses at which proxies ask.
extension CrossChecks {
    mutating func checkForwardAuth() {
        let listeners = settings.items("forward_auth.listen")
        if listeners.isEmpty {
            guard let trusted = settings.written("forward_auth.trusted") else { return }
            return findings.warning(
                trusted.place, "there is no address at which these proxies could ask",
                hint: "set \"forward_auth.listen\", for example to [\"127.0.0.1:9090\"]")
        }
        var seen: [Configuration.SocketAddressText] = []
        for item in listeners {
            guard case .address(let address) = item.value, address.port != 0 else { continue }
            if seen.contains(where: { overlaps($0, address) }) {
                findings.error(item.place, "the port \(address.port) of one address stands twice", hint: "remove one")
            }
            seen.append(address)
            if isTaken(address) {
                findings.error(
                    item.place, "the port \(address.port) is for clients or operators already",
                    hint: "give \"forward_auth.listen\" another port")
            }
        }
        checkCallers()
    }

    private func isTaken(_ address: Configuration.SocketAddressText) -> Bool {
        let others =
            settings.items("listen") + settings.items("tls.listen") + (settings.entries["admin.listen"]?.items ?? [])
        for other in others {
            if case .address(let other) = other.value, overlaps(other, address) { return true }
        }
        return settings.hasCertificate && settings.items("tls.listen").isEmpty
            && overlaps(Configuration.TLS.defaultListener, address)
    }

    private mutating func checkCallers() {
        let networks = settings.items("forward_auth.trusted")
        if let entry = settings.entries["forward_auth.trusted"], entry.items.isEmpty, !entry.isBroken {
            findings.error(
                entry.place, "nobody may ask at \"forward_auth.listen\"", hint: "name the addresses of your proxies")
        }
        for item in networks {
            guard case .network(let network) = item.value, isEveryone(network) else { continue }
            findings.warning(
                item.place, "everyone may ask, so everyone chooses the address that a request comes from",
                hint: "name the addresses of your proxies")
        }
    }
}
