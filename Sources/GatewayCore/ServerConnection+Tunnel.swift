internal import Policy
internal import Transport
internal import Wire

/// A connection whose server has changed to another protocol.
extension ServerConnection {
    /// Writes the 101 behind interim heads; what follows its `length` bytes is the other protocol's already.
    func becomeTunnel(
        _ bytes: Span<UInt8>, _ length: Int, _ context: ResponseContext, _ client: ClientConnection
    ) {
        guard let upgrade = context.upgrade else { return malformed() }
        let trace = client.record.trace
        worker.responses.writeSwitch(
            bytes, to: context, upgrade, requestID: trace.requestID, into: &worker.out)
        guard !worker.out.overflowed else { return malformed() }
        let step = client.handle(.switched)
        guard step == .tunnel else { return client.act(on: step) }
        probeAnswered(101)
        // The end of what has none for hours would come too late to end a row of failures.
        pool.answered(by: server, status: 101)
        phase = .tunnel
        client.tunnelBegins(with: worker.composed, bytes.extracting(length..<bytes.count))
    }

    /// The server must see that the other side broke off.
    func reset() {
        guard phase != .closed else { return }
        channel.resetOnClose()
        discard()
    }

    /// Nothing more is sent; all that was has been taken.
    func finishSending() {
        if phase == .tunnel { channel.finishSending() }
    }
}
