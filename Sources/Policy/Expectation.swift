internal import Wire

/// What the Expect fields of one head ask for. They are one list, whose empty elements are nothing (RFC 9110 §5.6.1.2),
/// and there is one expectation (§10.1.1): it goes on once, and so does its answer.
enum Expectation {
    /// No element, or none yet: fields without one stay here. → `plain`, `listed`
    case absent
    /// The field at this index says it and nothing else, and goes on as it came; further ones stay here.
    case plain(Int)
    /// It stands among empty elements, or more than once: one field is written anew.
    case listed

    /// Reads one field. False: it has an element that asks for something else.
    mutating func take(_ value: Span<UInt8>, at index: Int) -> Bool {
        if value.equalsIgnoringCase("100-continue") {
            if case .absent = self { self = .plain(index) }
            return true
        }
        var position = 0
        while let range = nextElement(value, &position) {
            if range.isEmpty { continue }
            guard value.extracting(range).equalsIgnoringCase("100-continue") else { return false }
            if case .absent = self { self = .listed }
        }
        return true
    }

    var isThere: Bool { if case .absent = self { false } else { true } }

    func keeps(_ index: Int) -> Bool { if case .plain(index) = self { true } else { false } }

    var isListed: Bool { if case .listed = self { true } else { false } }
}
