internal import CLibevent
internal import Glibc
package import Wire

/// Where a socket is bound or connected to: an address and a port, or the path of a Unix socket.
package enum SocketAddress: Hashable, Sendable {
    case ip(IPAddress, port: UInt16)
    /// At most 107 bytes of path; longer ones are cut by the system's limit, so `init(unixPath:)` refuses them.
    case unix(path: String)

    package init?(unixPath path: String) {
        guard path.utf8.count <= 107, !path.isEmpty else { return nil }
        self = .unix(path: path)
    }

    var family: Int32 {
        switch self {
        case .ip(let address, _): address.isV4 ? AF_INET : AF_INET6
        case .unix: AF_UNIX
        }
    }

    var length: socklen_t {
        switch self {
        case .ip(let address, _):
            socklen_t(address.isV4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
        case .unix: socklen_t(MemoryLayout<sockaddr_un>.size)
        }
    }

    /// The kernel's form.
    var storage: sockaddr_storage {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { bytes in
            switch self {
            case .ip(let address, let port):
                if let v4 = address.v4 {
                    var form = sockaddr_in()
                    form.sin_family = sa_family_t(AF_INET)
                    form.sin_port = port.bigEndian
                    form.sin_addr.s_addr = v4.bigEndian
                    bytes.storeBytes(of: form, as: sockaddr_in.self)
                } else {
                    var form = sockaddr_in6()
                    form.sin6_family = sa_family_t(AF_INET6)
                    form.sin6_port = port.bigEndian
                    withUnsafeMutableBytes(of: &form.sin6_addr) { place in
                        place.storeBytes(of: address.high.bigEndian, toByteOffset: 0, as: UInt64.self)
                        place.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
                    }
                    bytes.storeBytes(of: form, as: sockaddr_in6.self)
                }
            case .unix(let path):
                bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
                for (index, byte) in path.utf8.prefix(107).enumerated() { bytes[offset + index] = byte }
            }
        }
        return storage
    }

    /// Nil for families other than IP: a peer on a Unix socket has no address.
    init?(_ storage: sockaddr_storage) {
        let found: SocketAddress? = withUnsafeBytes(of: storage) { bytes in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let form = bytes.load(as: sockaddr_in.self)
                return .ip(
                    IPAddress(v4: UInt32(bigEndian: form.sin_addr.s_addr)), port: UInt16(bigEndian: form.sin_port))
            case AF_INET6:
                let form = bytes.load(as: sockaddr_in6.self)
                return withUnsafeBytes(of: form.sin6_addr) { address in
                    .ip(
                        IPAddress(
                            high: UInt64(bigEndian: address.load(as: UInt64.self)),
                            low: UInt64(bigEndian: address.load(fromByteOffset: 8, as: UInt64.self))),
                        port: UInt16(bigEndian: form.sin6_port))
                }
            default: return nil
            }
        }
        guard let found else { return nil }
        self = found
    }

    /// From a list of the system, whose entries have the size of their family. Nil for families other than IP.
    init?(_ address: UnsafePointer<sockaddr>) {
        let length: Int
        switch Int32(address.pointee.sa_family) {
        case AF_INET: length = MemoryLayout<sockaddr_in>.size
        case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { place in
            place.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
        }
        self.init(storage)
    }

    package var ip: IPAddress? {
        if case .ip(let address, _) = self { return address }
        return nil
    }

    package var port: UInt16? {
        if case .ip(_, let port) = self { return port }
        return nil
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/gateway.sock`.
    package var description: String {
        switch self {
        case .ip(let address, let port): address.isV4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
