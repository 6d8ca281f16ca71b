internal import CLibevent
internal import Glibc

/// A thread with its own event loop. What runs there is built there, from a `Sendable` seed, and never leaves it.
package final class LoopThread: Sendable {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable (EventLoop) -> Void
        init(name: String, body: @escaping @Sendable (EventLoop) -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let thread: pthread_t

    /// Starts a thread that calls `body` with a new loop; `body` sets up what it needs and calls `run()`. The thread ends
    /// when `body` returns. Signals are left to the main thread.
    /// - Parameter name: Shown by `top -H`; at most 15 bytes.
    package init(name: String, body: @escaping @Sendable (EventLoop) -> Void) {
        // Blocked around the creation, the new thread inherits the mask, and no signal can slip in before it is set.
        var every = sigset_t()
        var former = sigset_t()
        sigfillset(&every)
        // A fault of the thread's own must not be held back, or it dies without a trace.
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { sigdelset(&every, fault) }
        pthread_sigmask(SIG_SETMASK, &every, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }

        // Rule 2 for C callbacks: the thread takes this reference over and releases it.
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var created = pthread_t()
        let result = pthread_create(
            &created, nil, { LoopThread.main(Unmanaged<Start>.fromOpaque($0!).takeRetainedValue()) }, start.toOpaque())
        precondition(result == 0, "no thread can be created: \(String(cString: strerror(result)))")
        thread = created
    }

    /// Waits for the end of the thread. Either this or `detach` is to be called, once.
    package func join() { pthread_join(thread, nil) }

    /// Lets the thread end when it likes.
    package func detach() { pthread_detach(thread) }

    private static func main(_ start: Start) -> UnsafeMutableRawPointer? {
        _ = shim_name_thread(pthread_self(), start.name)
        start.body(EventLoop())
        return nil
    }
}
