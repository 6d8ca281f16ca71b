internal import Settings
internal import Transport
internal import Wire

/// A listening socket and what is spoken on it.
struct PublicListener: Sendable {
    let socket: ListeningSocket
    /// TLS.
    let isSecure: Bool
}

/// Opens the public listeners: for each address one socket per worker, so that workers share no queue.
enum Listeners {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// For each worker its sockets, in the order of the addresses: the plain ones, then those with TLS.
    static func open(_ configuration: Configuration) throws(Failure) -> [[PublicListener]] {
        let plain = try open(configuration.listeners, workers: configuration.workers)
        let secure = try open(configuration.tls?.listeners ?? [], workers: configuration.workers)
        return zip(plain, secure).map { plain, secure in
            plain.map { PublicListener(socket: $0, isSecure: false) }
                + secure.map { PublicListener(socket: $0, isSecure: true) }
        }
    }

    /// For each worker its sockets, in the order of the addresses.
    ///
    /// Bound once without SO_REUSEPORT first: with it a second gateway on the same port would start without an error and
    /// take half of the connections.
    private static func open(
        _ addresses: [Configuration.SocketAddressText], workers: Int
    ) throws(Failure) -> [[ListeningSocket]] {
        var result = Array(repeating: [ListeningSocket](), count: workers)
        for text in addresses {
            guard let ip = IPAddress(text.host) else {
                throw Failure(description: "listen: \(text.host) is not an address of this host")
            }
            var address = SocketAddress.ip(ip, port: text.port)
            do throws(SystemError) {
                if text.port != 0 { _ = try ListeningSocket(bind: address, shared: false) }
                for worker in 0..<workers {
                    let socket = try ListeningSocket(bind: address, shared: true)
                    // Port 0: the system chose one for the first worker, the others take the same.
                    address = socket.address ?? address
                    result[worker].append(socket)
                }
            } catch {
                let hint = error.isAddressInUse ? " (is another gateway running?)" : ""
                throw Failure(description: "cannot listen on \(address): \(error)\(hint)")
            }
        }
        return result
    }
}
