internal import CLibevent

/// Writing to a connection that the peer has closed is an error of that call, not the end of the process.
package func ignoreBrokenPipes() {
    shim_ignore_sigpipe()
}

/// Delivers one signal as an event of a loop, where anything may be done.
package final class SignalWatcher {
    private let loop: EventLoop
    /// Owned; freed in `deinit` after `event_del`.
    private let event: UnsafeMutablePointer<CLibevent.event>
    private let action: () -> Void

    package init(_ signal: Int32, on loop: EventLoop, action: @escaping () -> Void) {
        self.loop = loop
        self.action = action
        event = .allocate(capacity: 1)
        // Rule 1 for C callbacks: libevent borrows `self` until `event_del`.
        event_assign(
            event, loop.base, signal, Int16(EV_SIGNAL | EV_PERSIST),
            { _, _, context in Unmanaged<SignalWatcher>.fromOpaque(context!).takeUnretainedValue().action() },
            Unmanaged.passUnretained(self).toOpaque())
        event_add(event, nil)
    }

    deinit {
        event_del(event)
        event.deallocate()
    }
}
