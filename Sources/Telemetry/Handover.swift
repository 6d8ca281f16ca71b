internal import Glibc
internal import Synchronization

/// Wakes a thread that waits; any number of calls before it looks are one.
final class WakeSignal: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32

    init() {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) { pipe($0.bindMemory(to: Int32.self).baseAddress) }
        precondition(result == 0, "no descriptor left for the log writer")
        (readEnd, writeEnd) = ends
        for end in [readEnd, writeEnd] {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Callable from any thread. A full pipe wakes as well as one more byte would.
    func raise() {
        var byte: UInt8 = 1
        _ = write(writeEnd, &byte, 1)
    }

    /// True: raised; false: `milliseconds` (-1 = no end) are over.
    func wait(milliseconds: Int32) -> Bool {
        var interest = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        guard poll(&interest, 1, milliseconds) > 0 else { return false }
        var drained = UInt64(0)
        while read(readEnd, &drained, 8) == 8 {}
        return true
    }
}

/// Messages from any thread to the disk thread, in the order in which each sender sent them, without a lock: a stack
/// with an atomic head, taken whole and turned round.
final class Inbox<Message: Sendable>: Sendable {
    private final class Node {
        let message: Message
        let next: UInt
        init(_ message: Message, next: UInt) {
            self.message = message
            self.next = next
        }
    }

    /// The retained newest node as a bit pattern; 0 when empty. Whoever takes it out releases it.
    private let head = Atomic<UInt>(0)

    deinit { _ = takeAll() }

    var isEmpty: Bool { head.load(ordering: .sequentiallyConsistent) == 0 }

    /// True: it was empty, so the reader may be asleep.
    func send(_ message: Message) -> Bool {
        var seen = head.load(ordering: .relaxed)
        while true {
            let node = Unmanaged.passRetained(Node(message, next: seen))
            let pattern = UInt(bitPattern: node.toOpaque())
            let result = head.weakCompareExchange(expected: seen, desired: pattern, ordering: .acquiringAndReleasing)
            if result.exchanged { return seen == 0 }
            node.release()
            seen = result.original
        }
    }

    /// Everything so far, oldest first.
    func takeAll() -> [Message] {
        var pattern = head.exchange(0, ordering: .acquiringAndReleasing)
        var messages: [Message] = []
        while let pointer = UnsafeRawPointer(bitPattern: pattern) {
            let node = Unmanaged<Node>.fromOpaque(pointer).takeRetainedValue()
            messages.append(node.message)
            pattern = node.next
        }
        messages.reverse()
        return messages
    }
}
