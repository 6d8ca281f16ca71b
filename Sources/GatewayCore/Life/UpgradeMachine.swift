/// What becomes of an upgrade when this happens: the rules of the running gateway, without processes, sockets or a clock.
///
/// The state (ledger, state directory, admin sockets) has one owner at any time. It is given away last, when everything
/// else that can fail in the new program has succeeded, and is taken back when that program ends before it serves.
struct UpgradeMachine {
    enum Event: Hashable {
        case said(HandoverMessage)
        /// The ledger has saved everything and let go.
        case stateReleased
        /// The new program has closed its end of the line, or said what nobody understands.
        case lineEnded
        /// The new program is no more.
        case programEnded(String)
        /// It took longer than it may.
        case timePassed(String)
        /// This process was asked to end.
        case cancelled
    }

    enum Step: Hashable {
        case releaseState
        case takeStateBack
        case send(HandoverMessage)
        /// End the new program, whatever it is doing.
        case kill
        /// Ask it to end as this process was asked.
        case terminate
        /// Leave the sockets to it and finish what is under way here.
        case handOver(kept: [Int], version: String)
        /// Go on as if nothing had happened, and say why.
        case fail(String)
        /// The process that took over is no more, and we are still finishing.
        case successorLost(String)
    }

    private enum Phase: Hashable {
        /// The new program is on its way. → `committed`, `ending`, `failed`
        case preparing
        /// It was told to serve: whoever ends it now ends requests of clients. → `over`, `ending`, `failed`
        case committed(kept: [Int])
        /// It is being ended, or ends by itself: then the reason is how. → `failed`, once it has
        case ending(String?)
        case over
        case failed
    }

    private enum Possession: Hashable {
        case ours
        /// The ledger is saving. → `theirs`
        case leaving
        case theirs
    }

    private var phase = Phase.preparing
    private var state = Possession.ours
    private var reason: [String] = []

    var isUnderWay: Bool { phase != .over && phase != .failed }

    mutating func happened(_ event: Event) -> [Step] {
        switch (phase, event) {
        case (.preparing, .said(.refused(let line))), (.ending, .said(.refused(let line))):
            reason.append(line)
            return []
        case (.preparing, .said(.wantsState)) where state == .ours:
            state = .leaving
            return [.releaseState]
        case (.preparing, .said(.prepared(let kept))) where state == .theirs:
            phase = .committed(kept: kept)
            return [.send(.serve)]
        case (.committed(let kept), .said(.serving(let version))):
            phase = .over
            return [.handOver(kept: kept, version: version)]
        case (.preparing, .said), (.committed, .said): return end("it said what does not belong here")
        case (.preparing, .lineEnded), (.committed, .lineEnded): return end(nil)
        case (.preparing, .timePassed(let text)), (.committed, .timePassed(let text)): return end(text)
        case (.preparing, .cancelled): return end("this process was asked to end")
        case (.committed, .cancelled): return [.terminate]
        case (.preparing, .programEnded(let how)), (.committed, .programEnded(let how)): return ended(how)
        case (.ending(let why), .programEnded(let how)): return ended(why ?? how)
        case (.over, .programEnded(let how)): return [.successorLost(how)]
        case (_, .stateReleased):
            state = .theirs
            switch phase {
            case .preparing: return [.send(.state)]
            case .failed: return [.takeStateBack, .fail(reason.joined(separator: "\n"))]
            case .committed, .ending, .over: return []
            }
        case (.ending, _), (.over, _), (.failed, _): return []
        }
    }

    private mutating func end(_ why: String?) -> [Step] {
        phase = .ending(why)
        return [.kill]
    }

    /// What it said itself is a better reason than how it ended.
    private mutating func ended(_ how: String) -> [Step] {
        phase = .failed
        if reason.isEmpty { reason = [how] }
        switch state {
        case .ours: return [.fail(reason.joined(separator: "\n"))]
        case .leaving: return []
        case .theirs: return [.takeStateBack, .fail(reason.joined(separator: "\n"))]
        }
    }
}
