internal import CLibevent
internal import Glibc
package import Wire

/// The addresses of this host's own interfaces.
package enum LocalAddresses {
    /// Without loopback: a client on this host is a client like any other, and tests and demos come from there.
    package static func all() -> [IPAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        // Freed here, after every entry was copied.
        defer { freeifaddrs(list) }
        var found: [IPAddress] = []
        var entry = list
        while let current = entry {
            entry = current.pointee.ifa_next
            guard let address = current.pointee.ifa_addr else { continue }
            if let ip = SocketAddress(address)?.ip, !ip.isLoopback, !found.contains(ip) { found.append(ip) }
        }
        return found
    }
}
