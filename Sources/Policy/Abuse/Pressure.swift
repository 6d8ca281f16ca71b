/// Something that is nearly used up, as logs and reports name it.
package enum Pressure: String, CaseIterable, Sendable {
    case connections, memory
}

/// Notices when something is nearly used up and when it is so no more, without telling of every wave on the line.
package struct PressureWatch: Sendable {
    private var present: Set<Pressure> = []

    package init() {}

    /// What is nearly used up now, in a fixed order.
    package var all: [Pressure] { Pressure.allCases.filter(present.contains) }

    /// From 9/10 of the limit on there is pressure; it is over below 7/10.
    /// - Returns: true: it began; false: it is over; nil: nothing has changed.
    package mutating func look(_ pressure: Pressure, used: Int, limit: Int) -> Bool? {
        // By division: a limit may be as large as a number gets.
        if used >= limit - limit / 10 { return present.insert(pressure).inserted ? true : nil }
        if used < limit - limit / 10 * 3 { return present.remove(pressure) == nil ? nil : false }
        return nil
    }
}
