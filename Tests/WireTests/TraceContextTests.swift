import Testing

@testable import Wire

private func parse(_ text: String) -> TraceContext? { TraceContext(traceparent: Array(text.utf8).span) }

/// The traceparent that means the same.
private func traceparent(_ context: TraceContext) -> String {
    func hex(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: digits - text.count) + text
    }
    return "00-\(hex(context.traceHigh, 16))\(hex(context.traceLow, 16))-\(hex(context.parent, 16))-"
        + hex(UInt64(context.flags), 2)
}

private let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

@Suite struct `A trace context` {
    @Test func `is read from a traceparent`() throws {
        let context = try #require(parse(valid))
        #expect(context.traceHigh == 0x4bf9_2f35_77b3_4da6)
        #expect(context.traceLow == 0xa3ce_929d_0e0e_4736)
        #expect(context.parent == 0x00f0_67aa_0ba9_02b7)
        #expect(context.flags == TraceContext.sampled)
    }

    @Test(arguments: [
        // A later version, exactly as long or longer.
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", valid),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else", valid),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", valid),
        // Flags that nobody knows.
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"
        ),
        // Half of an id may be zero.
        (
            "00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-00"
        ),
    ])
    func `is understood as version 00 whatever version came`(text: String, expected: String) throws {
        let context = try #require(parse(text))
        #expect(traceparent(context) == expected)
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0X",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ])
    func `is ignored when it is malformed`(text: String) {
        #expect(parse(text) == nil)
    }

    @Test func `goes on with a parent of ours`() throws {
        var generator = IDGenerator(seed: (1, 2, 3, 4))
        let context = try #require(parse(valid))
        let ours = context.continued(from: &generator)
        #expect(ours.traceHigh == context.traceHigh && ours.traceLow == context.traceLow)
        #expect(ours.flags == context.flags)
        #expect(ours.parent != context.parent)
        #expect(ours != context.continued(from: &generator))
    }

    @Test func `begins a trace that others can read`() throws {
        var generator = IDGenerator()
        let context = TraceContext(from: &generator)
        #expect(parse(traceparent(context)) == context)
        #expect(context.flags & TraceContext.sampled == 0)
        #expect(context != TraceContext(from: &generator))
    }
}

@Suite struct `A request id` {
    @Test func `is the generator's next 128 bits`() {
        // The first two numbers of xoshiro256** for the state 1, 2, 3, 4 are 11520 and 0.
        var generator = IDGenerator(seed: (1, 2, 3, 4))
        let id = RequestID(from: &generator)
        #expect(id.high == 11_520)
        #expect(id.low == 0)
    }

    @Test func `does not repeat, within a worker or between workers`() {
        var first = IDGenerator()
        var second = IDGenerator()
        var seen: Set<RequestID> = []
        for _ in 0..<1_000 {
            seen.insert(RequestID(from: &first))
            seen.insert(RequestID(from: &second))
        }
        #expect(seen.count == 2_000)
    }

    @Test func `of a seed of zeros is not zero for ever`() {
        var generator = IDGenerator(seed: (0, 0, 0, 0))
        let numbers = (0..<8).map { _ in generator.next() }
        #expect(Set(numbers).count > 4)
    }

    @Test func `of a peer is kept when it can be written anywhere`() {
        func isAcceptable(_ value: String) -> Bool { RequestID.isAcceptable(Array(value.utf8).span) }
        #expect(isAcceptable("a"))
        #expect(isAcceptable("550e8400-e29b-41d4-a716-446655440000"))
        #expect(isAcceptable(String(repeating: "x", count: 128)))
        for value in ["", String(repeating: "x", count: 129), "a b", "a\"b", "a\tb", "a,b", "é", "a=b", "{a}", "a/b"] {
            #expect(!isAcceptable(value))
        }
    }
}
