internal import Wire

extension Gateway {
    enum Life: Equatable {
        /// Until the ledger is ready and the upstreams' names were looked up once. → `serving`
        case starting
        /// → `draining`
        case serving
        /// → `stopped`
        case draining(since: Instant, DrainReason)
        case stopped
    }

    enum DrainReason {
        /// Another process serves. → `signal`
        case successor
        /// A second one cuts the drain off.
        case signal
    }
}
