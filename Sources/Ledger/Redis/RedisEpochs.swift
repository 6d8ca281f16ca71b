internal import Policy

/// The marks that servers have of their data, by key: whoever has lost its data has another one, or none.
struct RedisEpochs: Hashable {
    /// Those of the data that we know.
    private(set) var known: [String: String] = [:]
    /// How far the data of each was when we last heard of it: a number that goes up with each word. Data that is not so far is an
    /// older state of the same: a snapshot from which the server was started, or a replica that had not heard all.
    private(set) var reached: [String: Int64] = [:]

    init() {}

    /// Where the number of a mark is: with the same server, and under a name that every user of Redis may use who was given the
    /// rights that the gateway needs.
    static func counter(of key: String) -> String {
        key == BlockKey.epoch ? RedisLedger.mark(of: key) : key + ":reached"
    }

    /// What a store has at this moment.
    struct Reading {
        /// With an empty text: something is there.
        var texts: [String: String] = [:]
        /// How far the data is; missing where nobody says.
        var reached: [String: Int64] = [:]
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

    /// Those of the data that we know, of which there is an older state.
    func older(_ reading: Reading) -> [String] {
        known.keys.filter { key in
            guard reading.texts[key] == known[key], let reached = reading.reached[key] else { return false }
            return reached < self.reached[key] ?? 0
        }
    }

    /// What the mark of older data is made to end with, so that other replicas know what befell it.
    static let olderSuffix = " older"

    /// Whether data that we know has been found to be older, here or by another replica.
    func isOlder(_ reading: Reading) -> Bool {
        known.contains { key, text in
            reading.texts[key].map { $0 != text && $0.hasSuffix(RedisEpochs.olderSuffix) } ?? false
        }
    }

    /// - Parameters:
    ///   - keys: the marks that there are; others are forgotten.
    ///   - reached: How far their data is.
    /// - Returns: whether anything has changed.
    mutating func adopt(_ texts: [String: String], of keys: [String], reached read: [String: Int64] = [:]) -> Bool {
        let former = self
        for (key, text) in texts where !text.isEmpty {
            // Other data, which begins anew.
            if known.updateValue(text, forKey: key) != text { reached[key] = nil }
        }
        known = known.filter { keys.contains($0.key) }
        reached = reached.filter { keys.contains($0.key) }
        for (key, number) in read { _ = heard(number, of: key) }
        return self != former
    }

    /// - Returns: whether that is news.
    mutating func heard(_ number: Int64, of key: String) -> Bool {
        guard known[key] != nil, number > reached[key] ?? 0 else { return false }
        reached[key] = number
        return true
    }

    // MARK: In the journal

    private static let severalBegin = "marks\n"
    private static let reachedBegin = "reached:"

    /// The one mark of a single server by itself, as it always was, unless there is more to say.
    var text: String {
        if known.count <= 1, reached.isEmpty, let only = known[BlockKey.epoch] { return only }
        let numbers = reached.map { (RedisEpochs.reachedBegin + $0.key, String($0.value)) }
        let lines = (known.map { ($0.key, $0.value) } + numbers).sorted { $0.0 < $1.0 }
        return RedisEpochs.severalBegin + lines.map { "\($0.0) \($0.1)\n" }.joined()
    }

    init(text: String) {
        guard text.hasPrefix(RedisEpochs.severalBegin) else {
            known = [BlockKey.epoch: text]
            return
        }
        for line in text.dropFirst(RedisEpochs.severalBegin.count).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { continue }
            if parts[0].hasPrefix(RedisEpochs.reachedBegin) {
                reached[String(parts[0].dropFirst(RedisEpochs.reachedBegin.count))] = Int64(parts[1])
            } else {
                known[String(parts[0])] = String(parts[1])
            }
        }
    }
}
