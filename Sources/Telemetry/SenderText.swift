internal import Wire

/// Who sent a request, as the access log says it. The same for all requests of a connection, so what was written for one
/// of them is kept for the next. An object, for one connection after another, so that nobody copies the text to say it.
package final class SenderText {
    /// Two addresses of 39 bytes, two ports, and the names of the four.
    private static let room = 160

    /// Owned; freed in `deinit`. Nil until something is kept: who only connects costs less.
    private var text: UnsafeMutableRawPointer?
    /// 0: nothing is kept.
    private var count = 0
    private var client = IPAddress(v4: 0)
    private var peer = IPAddress(v4: 0)
    private var port: UInt16 = 0

    package init() {}

    deinit { text?.deallocate() }

    /// Members of a JSON object, each behind a comma.
    /// - Parameter port: the peer's; 0: unknown.
    @_lifetime(borrow self)
    func of(client: IPAddress, peer: IPAddress, port: UInt16) -> Span<UInt8> {
        if count == 0 || client != self.client || peer != self.peer || port != self.port { write(client, peer, port) }
        let written = UnsafeRawBufferPointer(start: text, count: count).bindMemory(to: UInt8.self)
        return unsafe _overrideLifetime(Span(_unsafeElements: written), borrowing: self)
    }

    private func write(_ client: IPAddress, _ peer: IPAddress, _ port: UInt16) {
        (self.client, self.peer, self.port) = (client, peer, port)
        let text = text ?? .allocate(byteCount: SenderText.room, alignment: 8)
        self.text = text
        var line = LineWriter(UnsafeMutableRawBufferPointer(start: text, count: SenderText.room).mutableBytes)
        line.raw(",\"client_ip\":\"")
        line.address(client)
        line.raw("\"")
        if client == peer, port > 0 {
            line.raw(",\"client_port\":")
            line.number(Int(port))
        }
        line.raw(",\"peer_ip\":\"")
        line.address(peer)
        line.raw("\",\"peer_port\":")
        line.number(Int(port))
        count = line.count
    }
}
