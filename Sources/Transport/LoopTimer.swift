internal import CLibevent
package import Wire

/// A timer on a loop, set again and again. For deadlines by the thousand a sweep is cheaper; this is for the few.
package final class LoopTimer {
    private let loop: EventLoop
    /// Owned; freed in `deinit` after `event_del`.
    private let event: UnsafeMutablePointer<CLibevent.event>
    private let action: () -> Void
    private var interval: Interval?

    package init(on loop: EventLoop, action: @escaping () -> Void) {
        self.loop = loop
        self.action = action
        event = .allocate(capacity: 1)
        // Rule 1 for C callbacks: libevent borrows `self` until `event_del`.
        event_assign(
            event, loop.base, -1, 0,
            { _, _, context in Unmanaged<LoopTimer>.fromOpaque(context!).takeUnretainedValue().fire() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        event_del(event)
        event.deallocate()
    }

    /// Fires once after `delay`; an earlier setting is replaced.
    package func fire(after delay: Interval) {
        interval = nil
        add(delay)
    }

    /// Fires every `interval` until cancelled; a turn that took long delays it, missed times are not made up for.
    package func fire(every interval: Interval) {
        self.interval = interval
        add(interval)
    }

    /// Does not fire until it is set again; harmless when it is not set.
    package func cancel() {
        interval = nil
        event_del(event)
    }

    private func add(_ delay: Interval) {
        let nanoseconds = max(0, delay.nanoseconds)
        var time = timeval(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_usec: Int(nanoseconds % 1_000_000_000 / 1_000))
        event_add(event, &time)
    }

    private func fire() {
        if let interval { add(interval) }
        action()
    }
}
