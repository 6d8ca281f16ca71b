/// Follows one direction of a WebSocket by the headers of its frames (RFC 6455 §5.2), so that it is known where a frame
/// ends: only there may a frame of somebody else be put in. Payload is skipped and never looked at, so compression and
/// other extensions pass as they are. A few words of state; allocates nothing; bytes may come split anywhere.
///
/// A direction that breaks the framing is `lost`: the endpoints judge it, and nothing is put in any more.
package struct WebSocketFrames: Sendable {
    /// Who sends in this direction decides whether payload must be masked (RFC 6455 §5.1).
    package enum Sender: Sendable { case client, server }

    private enum Place: Sendable {
        /// Between two frames. → `size`
        case boundary
        /// The second byte of a header; `first` is the one before it. → `length`, `body`, `boundary`, `lost`
        case size(first: UInt8)
        /// The longer form of the length: `left` bytes of it are to come. → `body`, `lost`
        case length(first: UInt8, left: UInt8, value: UInt64, least: UInt64)
        /// So many bytes of masking key and payload are to come. → `boundary`, `closed`
        case body(left: UInt64, closes: Bool)
        /// The sender has said Close; nothing may follow it (RFC 6455 §5.5.1). → `lost`
        case closed
        case lost
    }

    private var place = Place.boundary
    private let sender: Sender

    package init(from sender: Sender) { self.sender = sender }

    /// Whether a control frame may be put in here: between two frames (inside a fragmented message too, RFC 6455 §5.4),
    /// and not behind a Close.
    package var isAtBoundary: Bool {
        if case .boundary = place { return true }
        return false
    }

    /// A Close has passed.
    package var isClosed: Bool {
        if case .closed = place { return true }
        return false
    }

    /// Takes the next bytes of the direction. Returns how many were taken: all of them, or with `stopping` those up to the
    /// first boundary, which may be where they begin.
    package mutating func take(_ bytes: Span<UInt8>, stoppingAtBoundary stopping: Bool = false) -> Int {
        var position = 0
        while position < bytes.count {
            switch place {
            case .boundary:
                if stopping { return position }
                place = .size(first: bytes[position])
                position += 1
            case .size(let first):
                place = afterSize(first, bytes[position])
                position += 1
            case .length(let first, let left, let value, let least):
                let value = value << 8 | UInt64(bytes[position])
                position += 1
                if left > 1 {
                    place = .length(first: first, left: left - 1, value: value, least: least)
                } else {
                    // The shortest form is the only one, and the highest bit is 0 (RFC 6455 §5.2).
                    place = value < least || value >> 63 != 0 ? .lost : body(first, value)
                }
            case .body(let left, let closes):
                let taken = min(left, UInt64(bytes.count - position))
                position += Int(taken)
                place = taken < left ? .body(left: left - taken, closes: closes) : closes ? .closed : .boundary
            case .closed, .lost:
                place = .lost
                return bytes.count
            }
        }
        return position
    }

    private func afterSize(_ first: UInt8, _ second: UInt8) -> Place {
        let isMasked = second & 0x80 != 0
        let size = second & 0x7f
        guard isMasked == (sender == .client) else { return .lost }
        if first & 0x08 != 0 {
            // RFC 6455 §5.5: control frames are short and whole.
            guard first & 0x80 != 0, size <= 125 else { return .lost }
        }
        switch size {
        case 126: return .length(first: first, left: 2, value: 0, least: 126)
        case 127: return .length(first: first, left: 8, value: 0, least: 65_536)
        default: return body(first, UInt64(size))
        }
    }

    private func body(_ first: UInt8, _ length: UInt64) -> Place {
        let left = length + (sender == .client ? 4 : 0)
        let closes = first & 0x0f == 0x08
        guard left > 0 else { return closes ? .closed : .boundary }
        return .body(left: left, closes: closes)
    }
}

/// A Close frame of our own (RFC 6455 §5.5.1).
package struct WebSocketClose: Hashable, Sendable {
    /// RFC 6455 §7.4.1: 1001 is "going away", 1008 a violated policy.
    package let code: UInt16
    /// For people and logs; at most 123 bytes of UTF-8.
    package let reason: String

    package init(code: UInt16, reason: String) {
        precondition(reason.utf8.count <= 123, "a control frame holds 125 bytes")
        self.code = code
        self.reason = reason
    }

    /// The frame as `sender` has to send it.
    /// - Parameter mask: for a client's frame; unpredictable (RFC 6455 §5.3). A server's has none.
    package func frame(from sender: WebSocketFrames.Sender, mask: UInt32 = .random(in: .min ... .max)) -> [UInt8] {
        var payload = [UInt8(code >> 8), UInt8(code & 255)]
        payload += reason.utf8
        guard sender == .client else { return [0x88, UInt8(payload.count)] + payload }
        let key = [UInt8(mask >> 24), UInt8(mask >> 16 & 255), UInt8(mask >> 8 & 255), UInt8(mask & 255)]
        for index in payload.indices { payload[index] ^= key[index % 4] }
        return [0x88, 0x80 | UInt8(payload.count)] + key + payload
    }
}
