internal import Transport
internal import Wire

/// One connection to Redis: commands out, replies back in their order. Every call is answered exactly once, with nil
/// when the connection ended first and nobody knows whether the command was carried out.
final class RedisConnection: ByteStreamHandler {
    typealias Completion = (RESPValue?) -> Void

    private enum State { case open, ended }

    private var stream: ByteStream?
    private let reader = RESPReader()
    private var waiting = ArrivalQueue<Completion>()
    private var state = State.open
    private let onMessage: (([RESPValue]) -> Void)?
    private let onEnd: (String) -> Void

    /// - Parameters:
    ///   - outputLimit: Bytes that may wait to be sent; more ends it.
    ///   - onMessage: Given, this is a subscriber: what is published goes there, channel and payload last.
    ///   - onEnd: Called once, unless `close()` was; the calls that wait have been answered before.
    init(
        to address: SocketAddress, opening: StreamOpening = StreamOpening(), on loop: EventLoop,
        connectTimeout: Interval, outputLimit: Int = 64 << 20, onMessage: (([RESPValue]) -> Void)? = nil,
        onEnd: @escaping (String) -> Void
    ) {
        self.onMessage = onMessage
        self.onEnd = onEnd
        stream = ByteStream(
            to: address, on: loop, opening: opening, connectTimeout: connectTimeout, outputLimit: outputLimit,
            handler: self)
    }

    deinit { stream?.close() }

    /// Commands are sent in the order of the calls; before the connection stands they are queued.
    func call(_ arguments: [String], completion: @escaping Completion = { _ in }) {
        guard state == .open else { return completion(nil) }
        waiting.append(completion)
        stream?.send(RESPCommand.encode(arguments))
    }

    /// Ends it; the calls that wait are answered with nil.
    func close() {
        guard state == .open else { return }
        state = .ended
        stream?.close()
        for completion in waiting.takeAll() { completion(nil) }
    }

    func streamConnected(_ stream: ByteStream) {}

    func stream(_ stream: ByteStream, received bytes: Span<UInt8>) {
        do throws(LedgerError) {
            try reader.feed(bytes)
            while state == .open, let reply = try reader.next() { receive(reply) }
        } catch {
            end(error.description)
        }
    }

    func stream(_ stream: ByteStream, ended reason: StreamEnd) { end(reason.description) }

    private func receive(_ reply: RESPValue) {
        if let onMessage, let parts = reply.array, parts.count >= 3, ["message", "pmessage"].contains(parts[0].text) {
            onMessage(Array(parts.suffix(2)))
            return
        }
        guard let completion = waiting.popFirst() else { return end("a reply that nobody asked for") }
        completion(reply)
    }

    private func end(_ reason: String) {
        guard state == .open else { return }
        close()
        onEnd(reason)
    }
}
