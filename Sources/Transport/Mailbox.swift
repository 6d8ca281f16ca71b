internal import CLibevent
internal import Synchronization

/// Messages from any thread to one loop, in the order in which each sender sent them, without a lock.
///
/// A stack of nodes with an atomic head: senders push, the receiver takes the whole stack at once and turns it round. An
/// `eventfd` wakes the receiver, written only by the sender that found the stack empty.
package final class Mailbox<Message: Sendable>: Sendable {
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
    private let wakeDescriptor: Int32

    package init() {
        wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(wakeDescriptor >= 0, "no descriptor left for a mailbox")
    }

    deinit {
        _ = takeAll()
        close(wakeDescriptor)
    }

    /// Wakes the receiving loop. Callable from any thread.
    package func send(_ message: Message) {
        var seen = head.load(ordering: .relaxed)
        while true {
            let node = Unmanaged.passRetained(Node(message, next: seen))
            let pattern = UInt(bitPattern: node.toOpaque())
            let result = head.weakCompareExchange(expected: seen, desired: pattern, ordering: .acquiringAndReleasing)
            if result.exchanged { break }
            node.release()
            seen = result.original
        }
        if seen == 0 {
            var one: UInt64 = 1
            _ = write(wakeDescriptor, &one, 8)
        }
    }

    /// All messages so far, oldest first.
    fileprivate func takeAll() -> [Message] {
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

    fileprivate var descriptor: Int32 { wakeDescriptor }

    /// Before the stack is emptied, so that a message sent in between wakes again.
    fileprivate func clearWake() {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, 8)
    }
}

/// The receiving end of a mailbox on its loop: calls `receive` for every message until it is let go.
package final class MailboxReceiver<Message: Sendable>: ReadinessHandler {
    private let mailbox: Mailbox<Message>
    private let receive: (Message) -> Void
    private var watcher: Watcher?

    package init(_ mailbox: Mailbox<Message>, on loop: EventLoop, receive: @escaping (Message) -> Void) {
        self.mailbox = mailbox
        self.receive = receive
        watcher = Watcher(mailbox.descriptor, on: loop, trigger: .level, handler: self)
    }

    package func ready(_ readiness: Readiness) {
        mailbox.clearWake()
        for message in mailbox.takeAll() { receive(message) }
    }
}
