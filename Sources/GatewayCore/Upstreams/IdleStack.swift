/// A server's idle connections in the order in which they were put aside. The newest stands by itself: a worker that answers
/// one request after another takes and returns that one, and never touches the array.
struct IdleStack<Connection: AnyObject> {
    private var newest: Connection?
    private var others: [Connection] = []

    var count: Int { others.count + (newest == nil ? 0 : 1) }
    var oldest: Connection? { others.first ?? newest }
    /// The oldest first.
    var all: [Connection] { others + [newest].compactMap(\.self) }

    mutating func push(_ connection: Connection) {
        if let newest { others.append(newest) }
        newest = connection
    }

    /// The newest.
    mutating func pop() -> Connection? { newest.take() ?? others.popLast() }

    mutating func remove(_ connection: Connection) {
        if newest === connection { newest = nil } else { others.removeAll { $0 === connection } }
    }
}
