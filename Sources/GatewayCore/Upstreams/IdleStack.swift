/// A server's idle connections in the order in which they were put aside. The newest stands by itself: a worker that answers
/// one request after another takes and returns that one, and never touches the array.
struct IdleStack<Connection: AnyObject> {
    private var newest: Connection?
    private var others: [Connection] = []
    /// Nobody may have them yet.
    private var parked: [Connection] = []

    var count: Int { others.count + parked.count + (newest == nil ? 0 : 1) }
    /// Of those that may be taken.
    var oldest: Connection? { others.first ?? newest }
    /// Of those that may be taken, the oldest first; behind them those that may not.
    var all: [Connection] { others + [newest].compactMap(\.self) + parked }

    mutating func push(_ connection: Connection) {
        if let newest { others.append(newest) }
        newest = connection
    }

    /// The newest.
    mutating func pop() -> Connection? { newest.take() ?? others.popLast() }

    mutating func park(_ connection: Connection) { parked.append(connection) }

    /// Those of the parked ones may be taken from now on.
    mutating func unpark(where isOver: (Connection) -> Bool) {
        guard !parked.isEmpty else { return }
        others += parked.filter(isOver)
        parked.removeAll(where: isOver)
    }

    mutating func remove(_ connection: Connection) {
        if newest === connection { return newest = nil }
        others.removeAll { $0 === connection }
        parked.removeAll { $0 === connection }
    }
}
