import Testing

@testable import GatewayCore

@Suite struct `Idle connections` {
    private final class Connection {
        let name: String
        init(_ name: String) { self.name = name }
    }

    private func stack(_ connections: Connection...) -> IdleStack<Connection> {
        var stack = IdleStack<Connection>()
        for connection in connections { stack.push(connection) }
        return stack
    }

    private let a = Connection("a")
    private let b = Connection("b")
    private let c = Connection("c")

    private func names(_ stack: IdleStack<Connection>) -> String { stack.all.map(\.name).joined() }

    @Test func `are taken from the newest on`() {
        var idle = stack(a, b, c)
        #expect(idle.count == 3 && names(idle) == "abc")
        #expect(idle.pop() === c && idle.pop() === b && idle.pop() === a && idle.pop() == nil)
        #expect(idle.count == 0 && idle.oldest == nil)
    }

    @Test func `keep their order when one is taken and comes back`() {
        var idle = stack(a, b, c)
        _ = idle.pop()
        #expect(names(idle) == "ab" && idle.count == 2 && idle.oldest === a)
        idle.push(c)
        #expect(names(idle) == "abc")
        #expect(idle.pop() === c)
    }

    @Test func `grow old from the first on`() {
        #expect(stack(a, b).oldest === a)
        #expect(stack(b).oldest === b)
    }

    @Test(arguments: ["a", "b", "c"])
    func `can be removed from anywhere`(name: String) {
        var idle = stack(a, b, c)
        idle.remove([a, b, c].first { $0.name == name }!)
        #expect(names(idle) == "abc".replacing(name, with: "") && idle.count == 2)
    }

    @Test func `are not taken while they are parked`() {
        var idle = stack(a)
        idle.park(b)
        idle.park(c)
        #expect(idle.count == 3 && names(idle) == "abc" && idle.oldest === a)
        #expect(idle.pop() === a && idle.pop() == nil && idle.count == 2)
        idle.unpark { $0 === c }
        #expect(idle.pop() === c && idle.pop() == nil)
        idle.remove(b)
        #expect(idle.count == 0)
    }

    @Test func `stay as they are when none of them is removed`() {
        var idle = stack(a, b)
        idle.remove(c)
        #expect(names(idle) == "ab")
    }
}
