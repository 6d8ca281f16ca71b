internal import Wire

/// The answer of its own that a worker wrote last. Whoever is refused by the same rule is told the same, but for the date
/// and the name of the request: these are put into a copy. In an attack nearly all requests are refused alike.
final class RefusalText {
    /// Bytes of an answer that are kept. A longer one is written anew each time.
    private static let room = 1_024

    /// What an answer is the same for.
    struct Form: Equatable {
        private let refusal: Refusal
        private let isHead: Bool
        private let isSecure: Bool
        private let keepAlive: Bool

        /// Nil: it says something of this one request, besides its date and a name of the usual length.
        init?(
            _ refusal: Refusal, _ facts: borrowing RequestFacts, origin: Span<UInt8>, requestID: Span<UInt8>,
            keepAlive: Bool
        ) {
            guard origin.isEmpty, requestID.count == RequestTrace.idLength, !refusal.asksToRetry,
                refusal.status != 405, refusal.status != 426, !refusal.namesDemands,
                !refusal.isChallenge
            else {
                return nil
            }
            self.refusal = refusal
            isHead = facts.isHead
            isSecure = facts.isSecure
            self.keepAlive = keepAlive
        }
    }

    /// Where in an answer the words stand that are each request's own.
    struct Places {
        var date = 0
        var requestID = 0
        /// In the body. Nil: there is none.
        var bodyRequestID: Int?
    }

    /// Owned; freed in `deinit`.
    private let text = UnsafeMutablePointer<UInt8>.allocate(capacity: RefusalText.room)
    private var count = 0
    private var places = Places()
    /// Nil: nothing is kept.
    private var form: Form?

    deinit { text.deallocate() }

    /// To be called when the configuration has changed.
    func clear() { form = nil }

    /// Writes the answer that was kept with what is this request's own. False: another one was kept.
    func write(_ form: Form, requestID: Span<UInt8>, date: Span<UInt8>, into out: inout ByteWriter) -> Bool {
        guard form == self.form else { return false }
        let start = out.count
        out.append(unsafe Span(_unsafeStart: text, count: count))
        guard !out.overflowed else { return true }
        out.overwrite(at: start + places.date, with: date)
        out.overwrite(at: start + places.requestID, with: requestID)
        if let place = places.bodyRequestID { out.overwrite(at: start + place, with: requestID) }
        return true
    }

    /// - Parameter places: in `written`.
    func keep(_ written: Span<UInt8>, _ form: Form, _ places: Places) {
        self.form = nil
        guard written.count <= RefusalText.room else { return }
        written.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            text.update(from: start, count: source.count)
        }
        count = written.count
        self.places = places
        self.form = form
    }
}
