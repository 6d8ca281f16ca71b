internal import Settings
internal import Transport

/// A server of an upstream as it is connected to, and the host it was found by.
struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    let socket: SocketAddress
    /// As it stands in the configuration; empty for a Unix socket.
    let host: String

    var description: String { socket.description }
}

extension Configuration.Upstream {
    /// What a server's certificate must be for.
    func certificateName(of server: ServerAddress) -> String { tls?.serverName ?? server.host }
}
