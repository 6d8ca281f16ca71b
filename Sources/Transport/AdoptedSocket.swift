internal import CLibevent
internal import Glibc

extension ListeningSocket {
    /// Takes over a socket that another process has bound and listens on. Its descriptor is closed when it is of no use.
    /// - Parameter isHeldElsewhere: Whether that process keeps it beyond our end.
    package convenience init(adopting descriptor: Int32, isHeldElsewhere: Bool) throws(AdoptionFault) {
        var isUsable = false
        defer { if !isUsable { CLibevent.close(descriptor) } }
        // Whatever it turns out to be, no child of ours shall have it by accident.
        guard shim_fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw AdoptionFault(description: String(cString: strerror(errno)))
        }
        var type: Int32 = 0
        var listens: Int32 = 0
        guard shim_get_int_option(descriptor, SOL_SOCKET, SO_TYPE, &type) == 0 else {
            throw AdoptionFault(description: "it is no socket")
        }
        guard type == Int32(SOCK_STREAM.rawValue),
            shim_get_int_option(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens) == 0, listens == 1
        else { throw AdoptionFault(description: "it is no listening stream socket") }
        var bound = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard shim_getsockname(descriptor, &bound, &length) == 0,
            let address = SocketAddress(bound) ?? SocketAddress(unix: bound, length: Int(length))
        else { throw AdoptionFault(description: "it is bound to no address that a gateway can use") }
        // The giver's accept may have been a waiting one.
        let flags = shim_fcntl(descriptor, F_GETFL, 0)
        guard flags >= 0, shim_fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw AdoptionFault(description: String(cString: strerror(errno)))
        }
        isUsable = true
        self.init(descriptor: descriptor, address: address, isHeldElsewhere: isHeldElsewhere)
    }
}

/// Why a descriptor that the process was started with is of no use.
package struct AdoptionFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
}

extension SocketAddress {
    /// A Unix socket's path; nil for one without a name or with an abstract one.
    fileprivate init?(unix storage: sockaddr_storage, length: Int) {
        guard Int32(storage.ss_family) == AF_UNIX else { return nil }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        let path = withUnsafeBytes(of: storage) { bytes in
            bytes[offset..<max(offset, min(length, bytes.count))].prefix { $0 != 0 }
        }
        self.init(unixPath: String(decoding: path, as: UTF8.self))
    }
}
