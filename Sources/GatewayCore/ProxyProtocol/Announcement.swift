internal import Wire

/// What the PROXY header of a client's connection said beside the client's address. An object, so that the connections
/// without one, nearly all of them, pay for a nil.
final class Announcement: Sendable {
    /// Who sent the header: the other end of the connection.
    let sender: IPAddress
    /// Where the client connected to, by the sender's word.
    let destination: Endpoint

    init(by sender: IPAddress, to destination: Endpoint) {
        self.sender = sender
        self.destination = destination
    }
}
