internal import Telemetry
internal import Wire

/// Two directions of bytes between a client and a server that have changed to another protocol: what passes, and who must
/// be told of the end. No sockets and no clock; the connections act on what it says.
///
/// ```
/// passing ──(its sender has ended, or it is cut)──→ finishing ──(all was taken)──→ finished
///    └─(told)→ telling ──(a frame ends)──→ finishing
/// ```
/// Both directions begin in `passing`. The tunnel is over when both are `finished` and both sides have ended.
final class Tunnel {
    enum Side { case client, server }

    private enum Flow {
        /// → `telling`, `finishing`
        case passing
        /// A Close of ours goes where the present frame ends. → `finishing`
        case telling(WebSocketClose)
        /// Nothing more passes; when the reader has taken what there is, it is told the end. → `finished`
        case finishing
        /// The reader was told.
        case finished
    }

    private enum Sender { case open, ended }

    private struct Direction {
        var flow = Flow.passing
        var sender = Sender.open
        /// Nil where the protocol is none whose frames we know.
        var frames: WebSocketFrames?
        /// By when its reader must have taken some of what waits for it; `never`: nothing waits.
        var due = Instant.never
        /// Bytes that its reader was seen to have taken.
        var taken: Int64 = 0

        var isOver: Bool {
            if case .finished = flow { return sender == .ended }
            return false
        }

        var mayPass: Bool {
            switch flow {
            case .passing, .telling: true
            case .finishing, .finished: false
            }
        }
    }

    /// What becomes of bytes that arrived: so many of them pass, and behind them goes a Close of ours, if any.
    struct Passage {
        let count: Int
        let close: [UInt8]
    }

    let isWebSocket: Bool
    private var fromClient: Direction
    private var fromServer: Direction
    /// The first reason for the end; nil: there is none yet.
    private(set) var end: TunnelEnd?

    init(isWebSocket: Bool) {
        self.isWebSocket = isWebSocket
        fromClient = Direction(frames: isWebSocket ? WebSocketFrames(from: .client) : nil)
        fromServer = Direction(frames: isWebSocket ? WebSocketFrames(from: .server) : nil)
    }

    /// Both sides have ended and were told of the other's end.
    var isOver: Bool { fromClient.isOver && fromServer.isOver }

    /// The server takes nothing more: what the client sends goes nowhere.
    private(set) var serverIsDeaf = false

    /// Its end has begun and must not take long: a WebSocket ends on both sides or not at all (RFC 6455 §7.1.1), while
    /// another protocol may go on in one direction, as long as somebody listens.
    var isEnding: Bool {
        guard let end else { return false }
        return isWebSocket || serverIsDeaf || end != .clientClosed && end != .serverClosed
    }

    /// Nothing passes any more in either direction.
    var isStopped: Bool { !fromClient.mayPass && !fromServer.mayPass }

    /// Bytes arrived from `side`.
    func take(_ bytes: Span<UInt8>, from side: Side) -> Passage {
        side == .client ? Tunnel.take(bytes, &fromClient, .client) : Tunnel.take(bytes, &fromServer, .server)
    }

    private static func take(
        _ bytes: Span<UInt8>, _ direction: inout Direction, _ sender: WebSocketFrames.Sender
    ) -> Passage {
        switch direction.flow {
        case .passing:
            _ = direction.frames?.take(bytes)
            return Passage(count: bytes.count, close: [])
        case .telling(let close):
            let count = direction.frames?.take(bytes, stoppingAtBoundary: true) ?? bytes.count
            if direction.frames?.isAtBoundary == true {
                direction.flow = .finishing
                return Passage(count: count, close: close.frame(from: sender))
            }
            if direction.frames?.isClosed == true { direction.flow = .finishing }
            return Passage(count: count, close: [])
        case .finishing, .finished:
            return Passage(count: 0, close: [])
        }
    }

    /// `side` sends nothing more. May be said again.
    func ended(_ side: Side) {
        if end == nil { end = side == .client ? .clientClosed : .serverClosed }
        side == .client ? Tunnel.ended(&fromClient) : Tunnel.ended(&fromServer)
    }

    private static func ended(_ direction: inout Direction) {
        direction.sender = .ended
        switch direction.flow {
        case .passing, .telling: direction.flow = .finishing
        case .finishing, .finished: break
        }
    }

    /// Both sides are to learn why it ends as soon as they can: a Close for each, now or where the frame that is under way
    /// ends. Returns what goes out now. Of protocols whose frames we do not know nothing can be told.
    func tell(_ why: TunnelEnd, _ close: WebSocketClose) -> (toClient: [UInt8], toServer: [UInt8]) {
        guard isWebSocket else { return ([], []) }
        if end == nil { end = why }
        return (Tunnel.tell(close, &fromServer, .server), Tunnel.tell(close, &fromClient, .client))
    }

    private static func tell(
        _ close: WebSocketClose, _ direction: inout Direction, _ sender: WebSocketFrames.Sender
    ) -> [UInt8] {
        guard case .passing = direction.flow, let frames = direction.frames else { return [] }
        guard !frames.isAtBoundary else {
            direction.flow = .finishing
            return close.frame(from: sender)
        }
        direction.flow = frames.isClosed ? .finishing : .telling(close)
        return []
    }

    /// Nothing more passes, from now on. Returns a Close for each side that can be told.
    func cut(_ why: TunnelEnd, _ close: WebSocketClose) -> (toClient: [UInt8], toServer: [UInt8]) {
        let told = tell(why, close)
        Tunnel.stop(&fromClient)
        Tunnel.stop(&fromServer)
        return told
    }

    private static func stop(_ direction: inout Direction) {
        if case .finished = direction.flow { return }
        direction.flow = .finishing
    }

    /// Whether `reader` is to be told now that nothing more comes; asked when it has taken everything. True once.
    func finishes(_ reader: Side) -> Bool {
        reader == .client ? Tunnel.finish(&fromServer) : Tunnel.finish(&fromClient)
    }

    private static func finish(_ direction: inout Direction) -> Bool {
        guard case .finishing = direction.flow else { return false }
        direction.flow = .finished
        return true
    }

    /// The server takes nothing more.
    /// - Parameter bytes: all that the client has taken so far.
    func serverIsGone(taken bytes: Int64) {
        serverIsDeaf = true
        fromServer.taken = bytes
    }

    // MARK: Time

    /// When the first side has had its time that does not take what waits for it; `never`: nothing waits. To be asked
    /// whenever something moves.
    /// - Parameters:
    ///   - waitsForClient: not all was taken that goes to the client.
    ///   - end: the time of a side for which nothing has waited so far, or which has taken some since.
    func due(waitsForClient: Bool, waitsForServer: Bool, from end: Instant) -> Instant {
        fromServer.due = waitsForClient ? min(fromServer.due, end) : .never
        fromClient.due = waitsForServer ? min(fromClient.due, end) : .never
        return min(fromServer.due, fromClient.due)
    }

    /// `reader` took some of what waits for it: its time for the rest begins with the next `due`.
    func took(_ reader: Side) {
        if reader == .client { fromServer.due = .never } else { fromClient.due = .never }
    }

    /// Whether `reader` has taken more than when this was asked last.
    /// - Parameter bytes: all that it has taken.
    func hasTaken(_ bytes: Int64, _ reader: Side) -> Bool {
        reader == .client ? Tunnel.note(bytes, &fromServer) : Tunnel.note(bytes, &fromClient)
    }

    private static func note(_ bytes: Int64, _ direction: inout Direction) -> Bool {
        guard bytes > direction.taken else { return false }
        direction.taken = bytes
        return true
    }
}
