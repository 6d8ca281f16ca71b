package import Wire

package struct WebhookMessage: Hashable, Sendable {
    /// What there is no room for goes in this order; the last of them is sent first.
    package enum Rank: Int, Comparable, Sendable {
        /// Of a threat that was told before.
        case reminder
        case news
        /// Of the first threat of its pattern.
        case first
        /// It may have worked. Never given up while there is room.
        case urgent

        package static func < (one: Self, other: Self) -> Bool { one.rawValue < other.rawValue }
    }

    /// Whoever gets it twice knows it by that.
    package let id: String
    package let body: [UInt8]
    package let rank: Rank
    package fileprivate(set) var attempts = 0

    package init(id: String, _ body: [UInt8], _ rank: Rank) {
        self.id = id
        self.body = body
        self.rank = rank
    }
}

/// Messages that wait for a webhook: so many, the most important ones first, and equals in the order in which they came.
package struct WebhookQueue: Sendable {
    package static let most = 64

    package enum Place: Hashable, Sendable {
        /// It is the one to be sent now: before one whose pause is not over, if there is one.
        case first
        case waiting
    }

    private var messages: [WebhookMessage] = []
    /// The first one is on its way, and keeps its place.
    package private(set) var isSending = false

    package init() {}

    package var count: Int { messages.count }

    /// - Returns: nil: there is no room for it. `isLossy`: another one had to go.
    package mutating func add(_ message: WebhookMessage) -> (place: Place, isLossy: Bool)? {
        var isLossy = false
        if messages.count >= WebhookQueue.most {
            let open = messages.indices.dropFirst(isSending ? 1 : 0)
            // The newest of the least important ones.
            guard let lowest = open.map({ messages[$0].rank }).min(), lowest < message.rank,
                let newest = open.last(where: { messages[$0].rank == lowest })
            else { return nil }
            messages.remove(at: newest)
            isLossy = true
        }
        let place = messages.indices.dropFirst(isSending ? 1 : 0).first { messages[$0].rank < message.rank }
        messages.insert(message, at: place ?? messages.count)
        let isFirst = !isSending && (place ?? messages.count - 1) == 0
        return (isFirst ? .first : .waiting, isLossy)
    }

    /// The first one is sent now.
    package mutating func send() -> WebhookMessage? {
        guard !isSending, !messages.isEmpty else { return nil }
        isSending = true
        messages[0].attempts += 1
        return messages[0]
    }

    package mutating func accepted() {
        isSending = false
        if !messages.isEmpty { messages.removeFirst() }
    }

    /// - Returns: until the next attempt; nil: it is given up.
    package mutating func refused(retries: Int) -> Interval? {
        isSending = false
        guard let message = messages.first else { return nil }
        let pause = WebhookRequest.pause(after: message.attempts)
        guard message.attempts > retries else { return pause }
        messages.removeFirst()
        guard message.rank == .urgent, messages.count < WebhookQueue.most - 1 else { return nil }
        // Others have their turn, since it may be this one that the receiver does not like.
        messages.append(message)
        return pause
    }

    /// What waits goes to another webhook.
    package mutating func startOver() {
        isSending = false
        for index in messages.indices { messages[index].attempts = 0 }
    }

    package mutating func clear() {
        messages = []
        isSending = false
    }
}

extension ThreatNews {
    package var rank: WebhookMessage.Rank {
        switch step {
        case .began: threat.pattern == .successAfterFailures ? .urgent : isFirst ? .first : .news
        case .continues: isGrown ? .news : .reminder
        case .ended: .reminder
        }
    }
}
