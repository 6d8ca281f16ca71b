import Glibc
import Testing

/// Requests read by the gateway and by NIOHTTP1, side by side. docs/conformance.md says what must hold.
@Suite struct `Beside NIOHTTP1` {
    /// The same in every run; another number makes other mutations.
    private static let seed: UInt64 = 0x6761_7465
    private static let mutationsOfEach = getenv("ORACLE_MUTATIONS").flatMap { Int(String(cString: $0)) } ?? 24
    private static let tasks = 4

    private static let written = Conversation.all(in: "requests").map(\.sent) + TableCase.all.map(\.sent)

    @Test func `nothing is passed on that it refuses, and what both take is read alike`() async {
        let written = Self.written
        let made = CaseFamilies.all.flatMap(\.cases)
        let total = await withTaskGroup(of: Tally.self) { group in
            for task in 0..<Self.tasks {
                group.addTask {
                    var tally = Tally()
                    let reader = OurReader()
                    for index in stride(from: task, to: written.count, by: Self.tasks) {
                        tally.compare(written[index], with: reader)
                        tally.compare(written[index] + CaseFamilies.follower, with: reader)
                        // Long ones are long for one reason, and slow.
                        guard written[index].count < 1_000 else { continue }
                        var mutator = Mutator(seed: Self.seed &+ UInt64(index), corpus: written)
                        for _ in 0..<Self.mutationsOfEach {
                            tally.compare(mutator.mutate(written[index]) + CaseFamilies.follower, with: reader)
                        }
                    }
                    for index in stride(from: task, to: made.count, by: Self.tasks) {
                        tally.compare(made[index] + CaseFamilies.follower, with: reader)
                    }
                    return tally
                }
            }
            return await group.reduce(into: Tally()) { $0.add($1) }
        }
        print(total.report)
        for (kind, group) in Dictionary(grouping: total.differences, by: { "\($0.kind)" }) {
            let examples = group.prefix(3).map { "\n" + Conversation.shown($0.bytes) }.joined()
            Issue.record("\(group.count) × \(kind), such as\(examples)")
        }
        #expect(total.cases > 1_500 * Self.mutationsOfEach)
        for entry in AllowedDifference.all {
            #expect(total.allowed[entry.name] != nil, "\(entry.name): no case shows it, so it must go from the list")
        }
    }
}

extension Tally {
    fileprivate var report: String {
        func lines(_ counts: [String: Int]) -> [String] {
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "    \($0.value)  \($0.key)" }
        }
        return
            (["\(cases) connections: \(agreed) requests read alike, \(bothRefuse) refused by both"]
            + ["  refused by the gateway alone:"] + lines(stricter)
            + ["  refused by NIOHTTP1 alone, on the list:"] + lines(allowed)).joined(separator: "\n")
    }
}
