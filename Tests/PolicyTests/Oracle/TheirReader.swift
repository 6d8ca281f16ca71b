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
        var fault: (any Error)?
        for cut in cuts + [sent.count] where cut > start && fault == nil {
            do {
                try channel.writeInbound(ByteBuffer(bytes: sent[start..<cut]))
            } catch {
                fault = error
            }
            start = cut
            while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
                switch part {
                case .head(let head):
                    isOpen = true
                    request = .init(method: name(of: head.method), target: head.uri)
                    request.fields = head.headers.map { .init(name: $0.name, value: trimmed($0.value)) }
                case .body(let bytes): request.body += bytes.readableBytesView
                case .end:
                    isOpen = false
                    request.end = cut
                    reading.requests.append(request)
                }
            }
        }
        if let fault {
            reading.ending = .refused("\(fault)")
        } else {
            reading.ending = isOpen ? .waitingForBody(request) : .waitingForHead
        }
        // A connection that ends in the middle is no fault of what came before.
        _ = try? channel.finish(acceptAlreadyClosed: true)
        return reading
    }

    /// NIOHTTP1 loses the hyphen of one.
    private static func name(of method: HTTPMethod) -> String {
        method == .MSEARCH ? "M-SEARCH" : method.rawValue
    }

    /// llhttp leaves the white space behind a value, which is no part of it (RFC 9112 §5).
    private static func trimmed(_ value: String) -> String {
        var value = value[...]
        while value.last == " " || value.last == "\t" { value.removeLast() }
        return String(value)
    }
}
