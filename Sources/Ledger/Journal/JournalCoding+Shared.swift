internal import Policy
internal import Wire

/// How shared texts stand in the journal: of keys without an end, as they always did, of the others with it.
extension JournalCoding {
    enum SharedWord: UInt8, CaseIterable { case shared, removed, pending, settled }

    /// The first of the four numbers of a kind. What is on disks must not change its meaning.
    private static func base(_ kind: SharedName.Kind) -> UInt8 {
        switch kind {
        case .key: 15
        case .lockdown: 19
        case .allowance: 44
        case .sharedAddress: 48
        }
    }

    /// Nil for the number of another record.
    static func shared(_ number: UInt8) -> (SharedWord, SharedName.Kind)? {
        for kind in SharedName.Kind.allCases where number >= base(kind) {
            if let word = SharedWord(rawValue: number - base(kind)) { return (word, kind) }
        }
        return nil
    }

    static func put(_ word: SharedWord, _ name: SharedName, _ text: StoredText? = nil, to bytes: inout [UInt8]) {
        bytes.append(base(name.kind) + word.rawValue)
        put(name.id, to: &bytes)
        guard let text else { return }
        put(text.text, to: &bytes, atMost: longestSharedText)
        if name.kind != .key { put(text.deadline?.milliseconds ?? .max, to: &bytes) }
    }

    static func decodeShared(_ word: SharedWord, _ kind: SharedName.Kind, _ cursor: inout Cursor) -> JournalRecord? {
        guard let id = cursor.text(), let name = SharedName(kind, id) else { return nil }
        switch word {
        case .removed: return .sharedRemoved(name)
        case .pending: return .sharedPending(name)
        case .settled: return .sharedSettled(name)
        case .shared:
            guard let text = cursor.text() else { return nil }
            guard kind != .key else { return .shared(name, StoredText(text: text)) }
            guard let end = cursor.number(Int64.self) else { return nil }
            return .shared(
                name, StoredText(text: text, deadline: end == .max ? nil : WallTime(milliseconds: end)))
        }
    }
}
