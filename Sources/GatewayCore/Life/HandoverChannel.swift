internal import Transport
internal import Wire

/// One end of the line between two gateways, on the control thread's loop.
final class HandoverChannel: ByteStreamHandler {
    private var stream: ByteStream?
    private var lines: LineBuffer
    private let receive: (HandoverMessage) -> Void
    private let ended: () -> Void

    /// Owns the socket from now on.
    /// - Parameters:
    ///   - lines: What has been read from it already.
    ///   - receive: called for each message; what is neither one nor a notice ends the line.
    ///   - ended: called once, last, unless `close` was called.
    init(
        _ socket: StreamSocket, after lines: LineBuffer = LineBuffer(), on loop: EventLoop,
        receive: @escaping (HandoverMessage) -> Void, ended: @escaping () -> Void
    ) {
        self.lines = lines
        self.receive = receive
        self.ended = ended
        stream = ByteStream(connected: socket, on: loop, handler: self)
        loop.atEndOfTurn { [weak self] in self?.readLines() }
    }

    func send(_ message: HandoverMessage) { stream?.send(Array("\(message.text)\n".utf8)) }

    /// Reads what is there now, without waiting for the loop's word.
    func catchUp() { stream?.resume() }

    /// Nothing more is heard or said.
    func close() {
        stream?.close()
        stream = nil
    }

    func streamConnected(_ stream: ByteStream) {}

    func stream(_ stream: ByteStream, received bytes: Span<UInt8>) {
        lines.append(bytes)
        readLines()
    }

    private func readLines() {
        while stream != nil, let line = lines.next() {
            if let message = HandoverMessage(line) {
                receive(message)
            } else if !HandoverMessage.isNotice(line) {
                return giveUp()
            }
        }
        if lines.isOverlong { giveUp() }
    }

    private func giveUp() {
        close()
        ended()
    }

    func stream(_ stream: ByteStream, ended reason: StreamEnd) {
        self.stream = nil
        ended()
    }
}
