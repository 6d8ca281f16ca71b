internal import Settings
internal import Wire

/// Who brings a request to the backend.
package enum Passage: Sendable {
    /// The gateway, which writes the head anew (stage *prepare*).
    case ours
    /// The proxy that asked, as its client wrote it.
    case theirs
}

extension Gatekeeper {
    /// Stage *prepare* of a request that somebody else forwards. What the gateway would have left out or written in
    /// another way cannot be mended here, so it is refused.
    func admitUnchanged(_ plan: Plan, _ bytes: Span<UInt8>) throws(Refusal) {
        // Behind the gateway the canonical path is read. A spelling that names other segments could be routed here and
        // served there by two different rules.
        if head.pathIsRewritten, !Spelling.isSame(bytes.extracting(head.path), canonicalPath(bytes)) {
            throw .ambiguousPath
        }
        // It would go on to the backend, and into its logs.
        if head.queryCut != nil || head.subprotocols != nil { throw .malformedCredentials }
        // Where backends read `_` or `.` as `-`, a name that no proxy overwrites would be taken for one that it does.
        for index in 0..<fields.count {
            let field = fields[index]
            switch classes[index] {
            case .disguised: throw .disguisedField
            case .identity where field.hasUnusualName, .forwarding where field.hasUnusualName: throw .disguisedField
            // No proxy is told to overwrite these, since they are never answered.
            case .identity where rules.isUnanswered(bytes.extracting(field.name)): throw .disguisedField
            default: continue
            }
        }
        if case .absent = head.upgrade { return }
        // On its way through the gateway the request would have gone on without it.
        guard plan.changesProtocol else { throw .upgradeNotAllowed }
    }
}

extension GatekeeperRules {
    /// Whether the gateway sets a field of this name, but not as an answer to other proxies: X-Token-Expired,
    /// X-Break-Glass, the assertion.
    func isUnanswered(_ name: Span<UInt8>) -> Bool {
        if name.equalsIgnoringCase("x-token-expired") || name.equalsIgnoringCase("x-break-glass") { return true }
        guard let header = configuration.assertion?.header, header.utf8.count == name.count else { return false }
        return header.utf8.enumerated().allSatisfy { Characters.lowercased($1) == Characters.lowercased(name[$0]) }
    }
}

/// Two spellings of one path.
enum Spelling {
    /// Whether any program that decodes once reads both as the same: they differ only in which characters are
    /// percent-encoded, and none of these is a separator.
    static func isSame(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
        var (left, right) = (0, 0)
        while left < one.count, right < other.count {
            let (first, second) = (unit(one, &left), unit(other, &right))
            guard first.value == second.value else { return false }
            if first.isEncoded != second.isEncoded, separators.contains(first.value) { return false }
        }
        return left == one.count && right == other.count
    }

    private static let separators: [UInt8] = Array("/\\;".utf8)

    private static func unit(_ path: Span<UInt8>, _ place: inout Int) -> (value: UInt8, isEncoded: Bool) {
        defer { place += 1 }
        guard path[place] == UInt8(ascii: "%"), place + 2 < path.count, let high = digit(path[place + 1]),
            let low = digit(path[place + 2])
        else { return (path[place], false) }
        place += 2
        return (high << 4 | low, true)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch Characters.lowercased(byte) {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Characters.lowercased(byte) - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
