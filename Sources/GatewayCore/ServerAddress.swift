internal import Transport

/// A server of an upstream as it is connected to, and the host it was found by: what its certificate must be for.
struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    let socket: SocketAddress
    /// As it stands in the configuration; empty for a Unix socket.
    let host: String

    var description: String { socket.description }
}
