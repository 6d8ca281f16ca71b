internal import CLibevent

/// One libevent `event_base` and the thread that runs it. Not `Sendable`: a loop is made on the thread that runs it and
/// never leaves; other threads reach it through a `Mailbox`.
package final class EventLoop {
    /// Owned; freed in `deinit`, after every watcher and timer, because each of them holds the loop.
    let base: OpaquePointer
    private var stopping = false
    private var endOfTurn: [() -> Void] = []
    /// Handlers that still have work to do although no new edge will come (their byte budget ran out).
    private var stillReady: [any ReadinessHandler] = []

    package init() {
        guard let config = event_config_new() else { fatalError("no memory for an event loop") }
        // One thread uses the loop; mailboxes wake it through a descriptor, not through libevent.
        event_config_set_flag(config, Int32(bitPattern: EVENT_BASE_FLAG_NOLOCK.rawValue))
        event_config_require_features(config, Int32(bitPattern: EV_FEATURE_ET.rawValue))
        guard let base = event_base_new_with_config(config) else {
            fatalError("libevent offers no edge-triggered method on this system (epoll is needed)")
        }
        event_config_free(config)
        // Before anything is watched, which is then of the second (libevent takes the middle one).
        event_base_priority_init(base, 2)
        self.base = base
    }

    deinit { event_base_free(base) }

    /// Runs until `stop()`: one turn after another, each a batch of events, then what was put off to its end.
    package func run() {
        while !stopping { turn() }
    }

    /// One batch of events. Waits for the first, unless somebody is still ready or something was put off before the turn.
    package func turn() {
        let flags = stillReady.isEmpty && endOfTurn.isEmpty ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK
        event_base_loop(base, flags)
        if !stillReady.isEmpty {
            let handlers = stillReady
            stillReady.removeAll(keepingCapacity: true)
            for handler in handlers { handler.resume() }
        }
        while !endOfTurn.isEmpty {
            let actions = endOfTurn
            endOfTurn.removeAll(keepingCapacity: true)
            for action in actions { action() }
        }
    }

    /// Ends `run()` after this turn.
    package func stop() {
        stopping = true
        event_base_loopbreak(base)
    }

    /// Calls `action` when every event of this turn has been handled: the place to free what a caller may still use.
    package func atEndOfTurn(_ action: @escaping () -> Void) {
        endOfTurn.append(action)
    }

    /// Calls the handler's `resume()` after the events of this turn, without waiting for an edge: for one who stopped
    /// reading because its budget was used up, not because the socket was empty. Asked again and again by one handler, it
    /// is still one call, or each of them would get a budget of its own.
    package func stillReady(_ handler: any ReadinessHandler) {
        if let last = stillReady.last, last === handler { return }
        stillReady.append(handler)
    }
}

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: Int16
    @inlinable
    public init(rawValue: Int16) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: Int16(EV_READ))
    package static let writable = Readiness(rawValue: Int16(EV_WRITE))
    /// The peer has closed its sending side, or the connection is gone.
    package static let closed = Readiness(rawValue: Int16(EV_CLOSED))

    @inlinable
    public func contains(_ member: Readiness) -> Bool { rawValue & member.rawValue == member.rawValue }
}

/// Who is told that a descriptor became ready.
package protocol ReadinessHandler: AnyObject {
    /// An edge: something changed since the last call. It is not repeated, so a handler that does not take all there is
    /// must remember it.
    func ready(_ readiness: Readiness)
    /// The turn's second chance after `EventLoop.stillReady`.
    func resume()
}

extension ReadinessHandler {
    package func resume() {}
}

/// Watches one descriptor for its handler, registered once for its whole life.
///
/// The handler owns the watcher and must outlive it; the watcher knows it unowned, and unsafely, because a counted
/// reference would cost two atomic operations per event. `event_del` in `deinit` guarantees that libevent calls nobody
/// afterwards.
package final class Watcher {
    /// When an event comes: once per change, or as long as there is something to read.
    package enum Trigger { case edge, level }

    private let loop: EventLoop
    /// Owned; its address is libevent's handle, so it lives on the heap and not in this object.
    private let event: UnsafeMutablePointer<CLibevent.event>
    private unowned(unsafe) let handler: any ReadinessHandler

    /// - Parameter trigger: `.edge` watches reading, writing and closing; `.level` only reading (listeners, eventfd).
    package init(_ descriptor: Int32, on loop: EventLoop, trigger: Trigger = .edge, handler: any ReadinessHandler) {
        self.loop = loop
        self.handler = handler
        event = .allocate(capacity: 1)
        let interest =
            switch trigger {
            case .edge: EV_READ | EV_WRITE | EV_CLOSED | EV_PERSIST | EV_ET
            case .level: EV_READ | EV_PERSIST
            }
        // Rule 1 for C callbacks: we own the C object; libevent borrows `self` until `event_del`.
        event_assign(
            event, loop.base, descriptor, Int16(interest),
            { _, what, context in Unmanaged<Watcher>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.fire(what) } },
            Unmanaged.passUnretained(self).toOpaque())
        event_add(event, nil)
    }

    deinit {
        event_del(event)
        event.deallocate()
    }

    /// Whether events of this descriptor come before others of the batch that they arrived in, which costs that batch one more
    /// call to the system. For what arrives rarely: while such events come, the others wait.
    /// - Returns: false: one is due in this turn, and it comes when it comes.
    @discardableResult
    package func comesFirst(_ isFirst: Bool) -> Bool { event_priority_set(event, isFirst ? 0 : 1) == 0 }

    /// No event is delivered from now on, not even one that is due in this turn. To be called before the descriptor is
    /// closed.
    package func cancel() {
        event_del(event)
    }

    private func fire(_ what: Int16) {
        handler.ready(Readiness(rawValue: what))
    }
}
