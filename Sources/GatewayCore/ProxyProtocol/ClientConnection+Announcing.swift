internal import Policy
internal import Settings
internal import Transport
internal import Wire

extension ClientConnection {
    /// The header that announces this client to a server; empty when none is to be sent.
    func proxyHeader(in version: Configuration.Upstream.ProxyProtocol) -> [UInt8] {
        switch version {
        case .none: []
        case .v1: ProxyHeader.line(from: clientEnd, to: gatewayEnd)
        case .v2: ProxyHeader.block(from: clientEnd, to: gatewayEnd)
        }
    }

    /// The client as it was identified. Its port is known only if it is the peer.
    private var clientEnd: Endpoint {
        let client = record.facts.client
        return Endpoint(client, client == peer ? peerPort : 0)
    }

    /// What the client connected to: by the word of whoever announced it, else our end.
    private var gatewayEnd: Endpoint {
        if let announcement { return announcement.destination }
        guard case .ip(let address, let port)? = channel.socket.localAddress else {
            return Endpoint(IPAddress(v4: 0), 0)
        }
        return Endpoint(address, port)
    }
}
