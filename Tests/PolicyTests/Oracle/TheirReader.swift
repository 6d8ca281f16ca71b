import NIOCore
import NIOEmbedded
import NIOHTTP1

/// Reads as NIOHTTP1's server side does, which is llhttp with its strict settings.
enum TheirReader {
    /// - Parameter cuts: offsets, rising. The bytes are handed over in pieces that end there, and a request's `end` is
    ///   the end of the piece that completed it: with cuts right before and behind a place it tells whether the request
    ///   ends exactly there.
    static func read(_ sent: [UInt8], cuts: [Int] = []) -> Reading {
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .fireError)))
        var reading = Reading()
        var request = Reading.Request()
        var isOpen = false
        var start = 0
        for cut in cuts + [sent.count] where cut > start {
            do {
                try channel.writeInbound(ByteBuffer(bytes: sent[start..<cut]))
            } catch {
                reading.ending = .refused("\(error)")
            }
            start = cut
            while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
                switch part {
                case .head(let head):
                    isOpen = true
                    request = .init(method: head.method.rawValue, target: head.uri)
                    request.fields = head.headers.map { .init(name: $0.name, value: trimmed($0.value)) }
                case .body(let bytes): request.body += bytes.readableBytesView
                case .end:
                    isOpen = false
                    request.end = cut
                    reading.requests.append(request)
                }
            }
            if case .refused = reading.ending { break }
        }
        if reading.ending == .complete { reading.ending = isOpen ? .waitingForBody : .waitingForHead }
        // A connection that ends in the middle is no fault of what came before.
        _ = try? channel.finish(acceptAlreadyClosed: true)
        return reading
    }

    /// llhttp leaves the white space behind a value, which is no part of it (RFC 9112 §5).
    private static func trimmed(_ value: String) -> String {
        var value = value[...]
        while value.last == " " || value.last == "\t" { value.removeLast() }
        return String(value)
    }
}
