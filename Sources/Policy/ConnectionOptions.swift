internal import Wire

/// What the Connection fields of one head ask for (RFC 9110 §7.6.1).
package struct ConnectionOptions: Sendable {
    /// Options in one head, empty ones too, and bytes of its Connection fields. More serve nobody but one who wants us to
    /// look for each field in all of them (RFC 9110 §5.6.1.2: empty elements can be a denial of service).
    package static let maximumCount = 32
    package static let maximumBytes = 1_024

    package private(set) var closes = false
    package private(set) var keepsAlive = false
    /// The connection is to change to what Upgrade names.
    package private(set) var upgrades = false
    /// Other names were listed: fields of these names go no further (`names(_:field:)`), if their class lets them.
    package private(set) var namesFields = false
    private var count = 0
    private var bytes = 0

    package init() {}

    /// Reads one Connection field. False: it is not a list of tokens, or too long a one; the request is to be refused.
    package mutating func take(_ value: Span<UInt8>) -> Bool {
        bytes += value.count
        guard bytes <= ConnectionOptions.maximumBytes else { return false }
        var position = 0
        while let range = nextElement(value, &position) {
            count += 1
            guard count <= ConnectionOptions.maximumCount else { return false }
            if range.isEmpty { continue }
            let option = value.extracting(range)
            for index in option.indices where !Characters.token.contains(option[index]) { return false }
            if option.equalsIgnoringCase("close") {
                closes = true
            } else if option.equalsIgnoringCase("keep-alive") {
                keepsAlive = true
            } else if option.equalsIgnoringCase("upgrade") {
                // The field itself never goes further as it came, named or not.
                upgrades = true
            } else {
                namesFields = true
            }
        }
        return true
    }

    /// Whether the Connection field with this value lists the field of this name. Letter case does not matter.
    package static func names(_ value: Span<UInt8>, field: Span<UInt8>) -> Bool {
        var position = 0
        elements: while let range = nextElement(value, &position) {
            guard range.count == field.count else { continue }
            for offset in field.indices
            where Characters.lowercased(value[range.lowerBound + offset]) != Characters.lowercased(field[offset]) {
                continue elements
            }
            return true
        }
        return false
    }
}

/// The element of a comma-separated list at `position`, without the white space around it; nil behind the last one.
func nextElement(_ value: Span<UInt8>, _ position: inout Int) -> Range<Int>? {
    guard position <= value.count else { return nil }
    var start = position
    var end = position
    while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
    position = end + 1
    while start < end, Characters.isWhitespace(value[start]) { start += 1 }
    while end > start, Characters.isWhitespace(value[end - 1]) { end -= 1 }
    return start..<end
}
