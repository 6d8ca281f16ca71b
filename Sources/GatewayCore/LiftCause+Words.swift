internal import Ledger
internal import Wire

/// How log and audit record tell why something is over.
extension LiftCause {
    /// Of something that is shared under a name and is gone from there.
    /// - Parameters:
    ///   - deadline: until when it was to last.
    ///   - actor: who is taking it back in this moment; nil: nobody.
    init(deadline: Instant, liftedBy actor: String?, at now: Instant) {
        // By the clock of Redis, which may be a moment ahead of what was reckoned from it here.
        let isOver = deadline <= now + .milliseconds(50)
        self = actor.map { .command(actor: $0) } ?? (isOver ? .expired : .deleted)
    }

    /// Who ended it.
    var actor: String {
        switch self {
        case .expired: "gateway"
        case .deleted, .flushed: "redis"
        case .command(let actor): actor
        }
    }

    var words: String {
        switch self {
        case .expired: "its time is over"
        case .deleted: "the key was deleted"
        case .flushed: "the store lost its data"
        case .command: "command"
        }
    }
}
