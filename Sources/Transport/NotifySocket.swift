internal import CLibevent
internal import Glibc

/// The way to a service manager: a Unix datagram socket that it named in NOTIFY_SOCKET (sd_notify(3)).
package final class NotifySocket {
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// What became of a message.
    package enum Delivery: Hashable, Sendable {
        case sent
        /// The other side does not keep up: again later.
        case full
        /// `errno`: nobody is there.
        case failed(Int32)
    }

    /// Owned.
    private let descriptor: Int32
    private var address = sockaddr_un()
    private let length: socklen_t

    /// - Parameter name: An absolute path, or `@` and an abstract name.
    package init(_ name: String) throws(Fault) {
        let bytes = Array(name.utf8)
        guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"), bytes.count > 1 else {
            throw Fault(description: "NOTIFY_SOCKET is \"\(name)\", which is neither an absolute path nor @ and a name")
        }
        // A path ends with a zero byte; an abstract name, whose `@` stands for one, ends with the address.
        guard bytes.count <= 107 else {
            throw Fault(description: "NOTIFY_SOCKET is \"\(name)\", which is longer than 107 bytes")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            place.copyBytes(from: bytes)
            if first == UInt8(ascii: "@") { place[0] = 0 }
        }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        length = socklen_t(offset + bytes.count + (first == UInt8(ascii: "@") ? 0 : 1))
        descriptor = shim_datagram_socket(AF_UNIX)
        guard descriptor >= 0 else { throw Fault(description: "no socket: \(String(cString: strerror(errno)))") }
    }

    deinit { CLibevent.close(descriptor) }

    /// One datagram, without waiting. Addressed each time: a manager that was started anew has a new socket there.
    package func send(_ text: String) -> Delivery {
        let bytes = Array(text.utf8)
        while true {
            if shim_send_to(descriptor, bytes, bytes.count, &address, length) >= 0 { return .sent }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return .full
            default: return .failed(errno)
            }
        }
    }
}
