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
            let length: Int
            switch Int32(address.pointee.sa_family) {
            case AF_INET: length = MemoryLayout<sockaddr_in>.size
            case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
            default: continue
            }
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) { place in
                place.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
            }
            if let ip = SocketAddress(storage)?.ip, !ip.isLoopback, !found.contains(ip) { found.append(ip) }
        }
        return found
    }
}
