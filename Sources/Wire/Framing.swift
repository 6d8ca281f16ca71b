/// How the end of a message's body is known (RFC 9112 §6.3).
public enum BodyFraming: Equatable, Sendable {
    case none
    case length(Int64)
    case chunked
    /// Responses only: the body ends where the connection does.
    case untilClose

    @inlinable
    public static func == (one: BodyFraming, other: BodyFraming) -> Bool {
        switch (one, other) {
        case (.none, .none), (.chunked, .chunked), (.untilClose, .untilClose): true
        case (.length(let one), .length(let other)): one == other
        default: false
        }
    }
}

/// Why the end of a message's body cannot be trusted, in words for diagnostics.
package enum FramingFault: String, Error, Sendable {
    case bothLengthAndCoding = "Content-Length and Transfer-Encoding are both present"
    case contentLength = "Content-Length is not one decimal number"
    case transferEncoding = "Transfer-Encoding is not exactly `chunked`"
    /// The end could be found, but what it holds could not be read: the one case for 501 (RFC 9112 §6.1). Where chunked
    /// is not the last coding the end cannot be found, which is a 400 (§6.3).
    case unknownCoding = "Transfer-Encoding has a coding before `chunked`"
    case codingInOldVersion = "Transfer-Encoding is not defined for HTTP/1.0"
}

/// Collects the fields that frame a message while its head is walked, and settles them once at the end. Whatever two
/// parsers might read differently is a fault: lists, signs, repeated fields (even equal ones), codings other than
/// `chunked`, and both kinds together, the root of request smuggling (RFC 9112 §11.2).
package struct FramingFields: Sendable {
    private var length: Int64?
    private var chunked = false
    private var fault: FramingFault?

    package init() {}

    /// Takes the value of a Content-Length field. A second one is a fault.
    package mutating func contentLength(_ value: Span<UInt8>) {
        guard length == nil, let number = decimal(value) else {
            fault = fault ?? .contentLength
            return
        }
        length = number
    }

    /// Takes the value of a Transfer-Encoding field. A second one is a fault.
    package mutating func transferEncoding(_ value: Span<UInt8>) {
        guard !chunked, value.equalsIgnoringCase("chunked") else {
            fault = fault ?? (!chunked && hasCodingsBeforeChunked(value) ? .unknownCoding : .transferEncoding)
            return
        }
        chunked = true
    }

    /// Names of other codings, and `chunked` once, as the last.
    private func hasCodingsBeforeChunked(_ value: Span<UInt8>) -> Bool {
        var start = 0
        while true {
            while start < value.count, Characters.isWhitespace(value[start]) { start += 1 }
            var end = start
            while end < value.count, Characters.token.contains(value[end]) { end += 1 }
            let isChunked = value.extracting(start..<end).equalsIgnoringCase("chunked")
            if end == value.count { return isChunked }
            guard end > start, !isChunked else { return false }
            while end < value.count, Characters.isWhitespace(value[end]) { end += 1 }
            guard end < value.count, value[end] == UInt8(ascii: ",") else { return false }
            start = end + 1
        }
    }

    /// The framing of a request, once all its fields were taken. Never `untilClose`.
    package func settleRequest(minorVersion: UInt8) -> Result<BodyFraming, FramingFault> {
        if let fault { return .failure(fault) }
        if chunked {
            if length != nil { return .failure(.bothLengthAndCoding) }
            return minorVersion == 0 ? .failure(.codingInOldVersion) : .success(.chunked)
        }
        if let length { return .success(length == 0 ? .none : .length(length)) }
        return .success(.none)
    }

    /// The framing of a response, once all its fields were taken.
    /// - Parameter head: whether the request was HEAD, whose answer has no body whatever its fields say.
    package func settleResponse(
        status: Int, toHead head: Bool, minorVersion: UInt8
    ) -> Result<BodyFraming, FramingFault> {
        if let fault { return .failure(fault) }
        if chunked, length != nil { return .failure(.bothLengthAndCoding) }
        if chunked, minorVersion == 0 { return .failure(.codingInOldVersion) }
        if head || status < 200 || status == 204 || status == 304 { return .success(.none) }
        if chunked { return .success(.chunked) }
        if let length { return .success(length == 0 ? .none : .length(length)) }
        return .success(.untilClose)
    }

    /// Whether the fields speak of a body, which a 204 must not have (RFC 9110 §15.3.5).
    package var announcesBody: Bool { chunked || (length ?? 0) > 0 }

    /// 1 to 18 digits, so that it fits whatever follows; nothing else, not even a sign.
    private func decimal(_ value: Span<UInt8>) -> Int64? {
        guard (1...18).contains(value.count) else { return nil }
        var number: Int64 = 0
        for index in 0..<value.count {
            guard Characters.isDigit(value[index]) else { return nil }
            number = number * 10 + Int64(value[index] - 48)
        }
        return number
    }
}
