internal import Policy

/// Failures that were decided here and that the store is still to be told of: by id, and how many they are under each key.
struct UnsettledFailures {
    private var byID: [FailureID: UnsettledFailure] = [:]
    private var counts: [LoginKey: Int] = [:]

    var isEmpty: Bool { byID.isEmpty }
    var count: Int { byID.count }
    var values: Dictionary<FailureID, UnsettledFailure>.Values { byID.values }

    func count(under key: LoginKey) -> Int { counts[key] ?? 0 }

    subscript(id: FailureID) -> UnsettledFailure? {
        get { byID[id] }
        set {
            if let former = byID[id] { add(-1, under: former.failure.key) }
            byID[id] = newValue
            if let newValue { add(1, under: newValue.failure.key) }
        }
    }

    @discardableResult
    mutating func removeValue(forKey id: FailureID) -> UnsettledFailure? {
        defer { self[id] = nil }
        return byID[id]
    }

    private mutating func add(_ number: Int, under key: LoginKey) {
        let count = counts[key, default: 0] + number
        counts[key] = count == 0 ? nil : count
    }
}
