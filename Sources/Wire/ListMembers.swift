/// The members of a comma-separated field value (RFC 9110 §5.6.1), compared without regard to case; empty ones are
/// skipped, as the RFC asks of recipients.
package struct ListMembers: ~Escapable {
    private let value: Span<UInt8>

    @_lifetime(copy value)
    package init(_ value: Span<UInt8>) { self.value = value }

    /// - Parameter member: in lower case.
    package func contains(_ member: StaticString) -> Bool {
        contains { $0.equalsIgnoringCase(member) }
    }

    package func contains(_ name: Span<UInt8>) -> Bool {
        contains { member in
            guard member.count == name.count else { return false }
            for index in 0..<name.count
            where Characters.lowercased(name[index]) != Characters.lowercased(member[index]) { return false }
            return true
        }
    }

    private func contains(where matches: (Span<UInt8>) -> Bool) -> Bool {
        var position = 0
        while position < value.count {
            while position < value.count,
                Characters.isWhitespace(value[position]) || value[position] == UInt8(ascii: ",")
            {
                position += 1
            }
            let start = position
            while position < value.count, value[position] != UInt8(ascii: ",") { position += 1 }
            var end = position
            while end > start, Characters.isWhitespace(value[end - 1]) { end -= 1 }
            if end > start, matches(value.extracting(start..<end)) { return true }
        }
        return false
    }
}
