internal import Policy

/// The marks that servers have of their data, by key: whoever has lost its data has another one, or none.
struct RedisEpochs: Hashable {
    /// Those of the data that we know.
    private(set) var known: [String: String] = [:]

    init() {}

    /// What a store has at this moment.
    struct Reading {
        /// With an empty text: something is there.
        var texts: [String: String] = [:]
        /// One of them may not be read now.
        var refusal: String?
        /// Of these nobody says what they are, since their slots are on their way.
        var unknown: Set<String> = []
        /// The marks that there were to read, besides those that were known.
        var current: Set<String> = []
        /// Of a key: the mark of the server that had it then.
        var owner: (String) -> String = { _ in BlockKey.epoch }
    }

    /// Whether the data under the key is the data that we know. Another mark than before is that of whoever came to the empty
    /// store first, and may have known nothing.
    func isKept(_ key: String, _ reading: Reading) -> Bool {
        guard let text = reading.texts[key] else { return false }
        guard isSame(key, text), !isGivenAway(reading) else { return false }
        return true
    }

    private func isSame(_ key: String, _ text: String) -> Bool {
        text.isEmpty || known[key] == nil || known[key] == text
    }

    /// A master is gone for good, with its data, and others were given its slots empty. They have all of their own marks, and
    /// which of the keys that are theirs now were its keys, nobody can tell.
    private func isGivenAway(_ reading: Reading) -> Bool {
        reading.current != Set(known.keys)
            && known.keys.contains { key in
                !reading.unknown.contains(key) && reading.texts[key].map { !isSame(key, $0) } ?? true
            }
    }

    /// The same while nothing but some keys is read: without a mark that we know nothing is missing.
    func isUnchanged(_ key: String, _ reading: Reading) -> Bool {
        known[key] == nil || reading.texts[key] == known[key]
    }

    /// - Parameter keys: the marks that there are; others are forgotten.
    /// - Returns: whether anything has changed.
    mutating func adopt(_ texts: [String: String], of keys: [String]) -> Bool {
        let former = self
        known.merge(texts.filter { !$0.value.isEmpty }) { $1 }
        known = known.filter { keys.contains($0.key) }
        return self != former
    }

    // MARK: In the journal

    private static let severalBegin = "marks\n"

    /// The one mark of a single server by itself, as it always was.
    var text: String {
        if known.count <= 1, let only = known[BlockKey.epoch] { return only }
        return RedisEpochs.severalBegin + known.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
    }

    init(text: String) {
        guard text.hasPrefix(RedisEpochs.severalBegin) else {
            known = [BlockKey.epoch: text]
            return
        }
        for line in text.dropFirst(RedisEpochs.severalBegin.count).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { known[String(parts[0])] = String(parts[1]) }
        }
    }
}
