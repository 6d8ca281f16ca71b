import Testing

@testable import GatewayCore
@testable import Telemetry
@testable import Wire

private let close = WebSocketClose(code: 1001, reason: "x")
/// From a client, masked with zeros, and from a server: `hi` in one frame.
private let clientFrame: [UInt8] = [0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]
private let serverFrame: [UInt8] = [0x81, 0x02, 0x68, 0x69]

extension Tunnel {
    fileprivate func passed(_ bytes: [UInt8], _ side: Side) -> Int { take(bytes.span, from: side).count }
}

@Suite struct `A tunnel` {
    @Test func `passes everything in both directions`() {
        let tunnel = Tunnel(isWebSocket: false)
        #expect(tunnel.passed([1, 2, 3], .client) == 3)
        #expect(tunnel.passed([4], .server) == 1)
        #expect(!tunnel.isOver)
        #expect(tunnel.end == nil)
        #expect(!tunnel.finishes(.client) && !tunnel.finishes(.server))
    }

    @Test func `passes one side's end on and goes on in the other direction`() {
        let tunnel = Tunnel(isWebSocket: false)
        tunnel.ended(.client)
        #expect(tunnel.finishes(.server))
        #expect(!tunnel.finishes(.server))
        #expect(!tunnel.finishes(.client))
        #expect(!tunnel.isEnding)
        #expect(tunnel.passed([4], .server) == 1)
        tunnel.ended(.server)
        #expect(!tunnel.isOver)
        #expect(tunnel.finishes(.client))
        #expect(tunnel.isOver)
        #expect(tunnel.end == .clientClosed)
    }

    @Test func `hears the same end twice`() {
        let tunnel = Tunnel(isWebSocket: false)
        tunnel.ended(.server)
        #expect(tunnel.finishes(.client))
        tunnel.ended(.server)
        #expect(!tunnel.finishes(.client))
        #expect(tunnel.end == .serverClosed)
    }

    @Test func `of another protocol cannot be told anything`() {
        let tunnel = Tunnel(isWebSocket: false)
        let told = tunnel.tell(.draining, close)
        #expect(told.toClient.isEmpty && told.toServer.isEmpty)
        #expect(tunnel.passed([1], .client) == 1)
        #expect(tunnel.end == nil)
    }

    @Test func `is stopped when nothing passes in either direction`() {
        let tunnel = Tunnel(isWebSocket: true)
        #expect(!tunnel.isStopped)
        #expect(tunnel.passed(Array(serverFrame.prefix(3)), .server) == 3)
        _ = tunnel.tell(.draining, close)
        #expect(!tunnel.isStopped, "the rest of the frame passes yet")
        #expect(tunnel.passed(Array(serverFrame.suffix(1)), .server) == 1)
        #expect(tunnel.isStopped)
        let other = Tunnel(isWebSocket: false)
        other.ended(.client)
        #expect(!other.isStopped)
        _ = other.cut(.blocked, close)
        #expect(other.isStopped)
    }

    @Test func `gives each side a time of its own for what waits for it`() {
        let tunnel = Tunnel(isWebSocket: false)
        func due(_ client: Bool, _ server: Bool, _ end: Int64) -> Int64 {
            tunnel.due(waitsForClient: client, waitsForServer: server, from: Instant(nanoseconds: end)).nanoseconds
        }
        #expect(due(false, false, 10) == .max)
        #expect(due(false, true, 11) == 11)
        #expect(due(false, true, 12) == 11, "what the client sends gives the server no more time")
        #expect(due(true, true, 13) == 11)
        tunnel.took(.client)
        #expect(due(true, true, 14) == 11, "nor what the client takes")
        tunnel.took(.server)
        #expect(due(true, true, 15) == 14, "the client's time goes on")
        #expect(due(false, true, 16) == 15)
        #expect(due(true, false, 17) == 17)
        #expect(due(false, false, 18) == .max)
    }

    @Test func `sees who has taken more`() {
        let tunnel = Tunnel(isWebSocket: false)
        #expect(!tunnel.hasTaken(0, .server))
        #expect(tunnel.hasTaken(5, .server))
        #expect(!tunnel.hasTaken(5, .server))
        #expect(!tunnel.hasTaken(4, .server), "a Close of ours that waits is not counted as sent")
        #expect(tunnel.hasTaken(1, .client))
        #expect(tunnel.hasTaken(6, .server))
    }

    @Test func `that is cut passes nothing more`() {
        let tunnel = Tunnel(isWebSocket: false)
        let told = tunnel.cut(.blocked, close)
        #expect(told.toClient.isEmpty && told.toServer.isEmpty)
        #expect(tunnel.passed([1], .client) == 0)
        #expect(tunnel.passed([1], .server) == 0)
        #expect(tunnel.finishes(.client) && tunnel.finishes(.server))
    }
}

@Suite struct `A WebSocket` {
    @Test func `ends on both sides soon after the first`() {
        let tunnel = Tunnel(isWebSocket: true)
        #expect(!tunnel.isEnding)
        tunnel.ended(.server)
        #expect(tunnel.isEnding)
    }

    @Test func `is told at once between two frames`() {
        let tunnel = Tunnel(isWebSocket: true)
        _ = tunnel.passed(clientFrame, .client)
        _ = tunnel.passed(serverFrame, .server)
        let told = tunnel.tell(.draining, close)
        #expect(told.toClient == close.frame(from: .server))
        #expect(told.toServer.count == 2 + 4 + 3)
        #expect(told.toServer.prefix(2) == [0x88, 0x83])
        #expect(tunnel.end == .draining)
        #expect(tunnel.finishes(.client) && tunnel.finishes(.server))
    }

    @Test func `is told where the frame under way ends, and what follows does not pass`() {
        let tunnel = Tunnel(isWebSocket: true)
        #expect(tunnel.passed([serverFrame[0]], .server) == 1)
        let told = tunnel.tell(.draining, close)
        #expect(told.toClient.isEmpty)
        #expect(!told.toServer.isEmpty)
        #expect(!tunnel.finishes(.client))
        let passage = tunnel.take((Array(serverFrame[1...]) + serverFrame).span, from: .server)
        #expect(passage.count == 3)
        #expect(passage.close == close.frame(from: .server))
        #expect(tunnel.passed(serverFrame, .server) == 0)
        #expect(tunnel.finishes(.client))
    }

    @Test func `that is in the middle of a frame is cut without a Close`() {
        let tunnel = Tunnel(isWebSocket: true)
        _ = tunnel.passed([serverFrame[0]], .server)
        let told = tunnel.cut(.blocked, close)
        #expect(told.toClient.isEmpty)
        #expect(!told.toServer.isEmpty)
        #expect(tunnel.passed(Array(serverFrame[1...]), .server) == 0)
        #expect(tunnel.finishes(.client))
    }

    /// RFC 6455 §5.5.1.
    @Test func `gets no second Close`() {
        let tunnel = Tunnel(isWebSocket: true)
        _ = tunnel.passed([0x88, 0], .server)
        let told = tunnel.tell(.draining, close)
        #expect(told.toClient.isEmpty)
        #expect(!told.toServer.isEmpty)
        #expect(tunnel.tell(.draining, close).toServer.isEmpty)
        #expect(tunnel.cut(.blocked, close).toServer.isEmpty)
    }

    @Test func `whose Close is under way gets none of ours behind it`() {
        let tunnel = Tunnel(isWebSocket: true)
        _ = tunnel.passed([0x88, 2, 3], .server)
        _ = tunnel.tell(.draining, close)
        let passage = tunnel.take([0xe8].span, from: .server)
        #expect(passage.count == 1)
        #expect(passage.close.isEmpty)
        #expect(tunnel.finishes(.client))
    }

    @Test func `that breaks its framing passes, and is told nothing`() {
        let tunnel = Tunnel(isWebSocket: true)
        let unmasked = serverFrame
        #expect(tunnel.passed(unmasked, .client) == 4)
        #expect(tunnel.passed(unmasked, .client) == 4)
        let told = tunnel.tell(.draining, close)
        #expect(told.toServer.isEmpty)
        #expect(tunnel.passed(unmasked, .client) == 4)
    }

    @Test func `of another protocol may go on in one direction, but not towards a server that takes nothing`() {
        let tunnel = Tunnel(isWebSocket: false)
        tunnel.ended(.server)
        #expect(!tunnel.isEnding)
        tunnel.serverIsGone(taken: 7)
        #expect(tunnel.isEnding)
        #expect(tunnel.end == .serverClosed)
        #expect(!tunnel.hasTaken(7, .client))
        #expect(tunnel.hasTaken(8, .client))
    }

    @Test func `keeps the first reason for its end`() {
        let tunnel = Tunnel(isWebSocket: true)
        tunnel.ended(.client)
        _ = tunnel.cut(.blocked, close)
        #expect(tunnel.end == .clientClosed)
    }
}
