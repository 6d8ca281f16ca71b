internal import Crypto

/// Reads one JSON object in one pass, strictly, and remembers where the members that a plan wants stand.
///
/// Stricter than many libraries on purpose: two readers that understand one token differently are an attack (RFC 8725
/// §2.6), so duplicate member names, broken UTF-8 and lone surrogates are errors at every depth, wanted or not. Its
/// buffers are used again for every token, and cannot be copied by mistake. Strings are unescaped in place: they can only
/// get shorter.
struct ClaimScanner: ~Copyable {
    static let maximumDepth = 16
    /// Per object; the search for duplicates is quadratic in it.
    static let maximumMembers = 128
    static let maximumNumberBytes = 64

    enum Kind: UInt8 { case absent, string, number, `true`, `false`, null, list, object }

    /// A value's kind and place. Of a string the place is its content, unescaped; of a list it counts elements.
    struct Value {
        var kind = Kind.absent
        var start = 0
        var end = 0
    }

    private struct Name {
        var hash: UInt32
        var start: Int
        var end: Int
    }

    var bytes: [UInt8]
    private(set) var count = 0
    var at = 0
    private var values: [Value] = []
    private var elements: [Value] = []
    private var names: [Name] = []
    let unescapes: Bool

    /// Room for texts of up to `capacity` bytes. Without `unescapes`, escapes are checked but left as they are, so that
    /// parts of the text can be read again.
    init(capacity: Int, unescapes: Bool = true) {
        bytes = [UInt8](repeating: 0, count: capacity)
        self.unescapes = unescapes
        names.reserveCapacity(64)
        elements.reserveCapacity(64)
    }

    /// Decodes and scans; false: not base64url, too long, or not one strict JSON object.
    mutating func scan(base64URL text: Span<UInt8>, _ plan: ClaimPlan) -> Bool {
        var span = bytes.mutableSpan
        guard let size = Base64URL.decode(text, into: &span) else { return false }
        count = size
        return scan(plan)
    }

    mutating func scan(json text: Span<UInt8>, _ plan: ClaimPlan) -> Bool {
        guard text.count <= bytes.count else { return false }
        for index in text.indices { bytes[index] = text[index] }
        count = text.count
        return scan(plan)
    }

    private mutating func scan(_ plan: ClaimPlan) -> Bool {
        at = 0
        elements.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        for _ in 0..<plan.slotCount { values.append(Value()) }
        skipSpace()
        guard at < count, bytes[at] == UInt8(ascii: "{"), object(plan, ClaimPlan.root, depth: 1) else { return false }
        skipSpace()
        return at == count
    }

    // MARK: What was found

    func value(_ slot: Int) -> Value { values[slot] }

    func value(_ claim: ClaimPlan.Claim) -> Value {
        let literal = values[claim.literal]
        guard literal.kind == .absent, let nested = claim.nested else { return literal }
        return values[nested]
    }

    /// Element `index` of a list.
    func element(_ index: Int, of list: Value) -> Value { elements[list.start + index] }

    /// The content of a string, or the text of a number or literal, valid until the next scan.
    @_lifetime(borrow self)
    func text(_ value: Value) -> Span<UInt8> { bytes.span.extracting(value.start..<value.end) }

    // MARK: The grammar (RFC 8259)

    private mutating func skipSpace() {
        while at < count, bytes[at] == 0x20 || bytes[at] == 0x0a || bytes[at] == 0x0d || bytes[at] == 0x09 { at += 1 }
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard at < count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func object(_ plan: ClaimPlan, _ node: Int, depth: Int) -> Bool {
        guard depth <= ClaimScanner.maximumDepth else { return false }
        at += 1
        let firstName = names.count
        skipSpace()
        if skip(UInt8(ascii: "}")) { return true }
        while true {
            guard let name = name(), isNew(name, since: firstName) else { return false }
            names.append(name)
            let child =
                node < 0
                ? ClaimPlan.nowhere : plan.child(of: node, named: bytes.span.extracting(name.start..<name.end))
            skipSpace()
            guard skip(UInt8(ascii: ":")) else { return false }
            skipSpace()
            guard let value = value(plan, child, depth: depth + 1) else { return false }
            let slot = plan.slot(of: child)
            if slot >= 0 { values[slot] = value }
            skipSpace()
            if skip(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            guard skip(UInt8(ascii: "}")) else { return false }
            names.removeLast(names.count - firstName)
            return true
        }
    }

    private mutating func name() -> Name? {
        guard let value = string() else { return nil }
        var hash: UInt32 = 2_166_136_261
        for index in value.start..<value.end { hash = (hash ^ UInt32(bytes[index])) &* 16_777_619 }
        return Name(hash: hash, start: value.start, end: value.end)
    }

    private func isNew(_ name: Name, since first: Int) -> Bool {
        guard names.count - first < ClaimScanner.maximumMembers else { return false }
        let span = bytes.span
        for index in first..<names.count {
            let other = names[index]
            if other.hash == name.hash,
                Bytes.equal(span.extracting(other.start..<other.end), span.extracting(name.start..<name.end))
            {
                return false
            }
        }
        return true
    }

    private mutating func value(_ plan: ClaimPlan, _ node: Int, depth: Int) -> Value? {
        guard at < count else { return nil }
        let start = at
        switch bytes[at] {
        case UInt8(ascii: "\""):
            return string()
        case UInt8(ascii: "{"):
            return object(plan, node, depth: depth) ? Value(kind: .object, start: start, end: at) : nil
        case UInt8(ascii: "["):
            return list(plan, collects: plan.slot(of: node) >= 0, depth: depth)
        case UInt8(ascii: "t"):
            return literal("true", .true)
        case UInt8(ascii: "f"):
            return literal("false", .false)
        case UInt8(ascii: "n"):
            return literal("null", .null)
        default:
            return number()
        }
    }

    private mutating func list(_ plan: ClaimPlan, collects: Bool, depth: Int) -> Value? {
        guard depth <= ClaimScanner.maximumDepth else { return nil }
        at += 1
        // Only the wanted list itself collects; lists inside it are one element each, so the range stays whole.
        let first = elements.count
        skipSpace()
        if skip(UInt8(ascii: "]")) { return Value(kind: .list, start: first, end: first) }
        while true {
            guard let element = value(plan, ClaimPlan.nowhere, depth: depth + 1) else { return nil }
            if collects { elements.append(element) }
            skipSpace()
            if skip(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            guard skip(UInt8(ascii: "]")) else { return nil }
            return Value(kind: .list, start: first, end: elements.count)
        }
    }

    private mutating func literal(_ word: StaticString, _ kind: Kind) -> Value? {
        let start = at
        guard count - at >= word.utf8CodeUnitCount else { return nil }
        for index in 0..<word.utf8CodeUnitCount where bytes[at + index] != word.utf8Start[index] { return nil }
        at += word.utf8CodeUnitCount
        return Value(kind: kind, start: start, end: at)
    }

    private mutating func digits() -> Bool {
        let start = at
        while at < count, bytes[at] >= 48, bytes[at] <= 57 { at += 1 }
        return at > start
    }

    private mutating func number() -> Value? {
        let start = at
        _ = skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")), !digits() { return nil }
        if skip(UInt8(ascii: ".")), !digits() { return nil }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            guard digits() else { return nil }
        }
        guard at - start <= ClaimScanner.maximumNumberBytes else { return nil }
        return Value(kind: .number, start: start, end: at)
    }
}
