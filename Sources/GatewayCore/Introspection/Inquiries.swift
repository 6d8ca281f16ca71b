internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// The requests of one worker whose tokens their issuer is asked about. They wait as heads, before anything was decided, so
/// that what has changed meanwhile holds for them: blocks, revocations, a reload.
final class Inquiries {
    private unowned let worker: Worker
    /// By token: one question for all of its requests.
    private var waiting: [[UInt8]: [ClientConnection]] = [:]

    init(_ worker: Worker) { self.worker = worker }

    func ask(_ token: [UInt8], for client: ClientConnection) {
        if waiting[token] == nil { worker.control.send(.tokenUnknown(token)) }
        waiting[token, default: []].append(client)
    }

    func answered(_ answer: IntrospectionAnswer, about token: [UInt8]) {
        worker.gatekeeper.learn(answer, about: token, at: worker.clock.wall)
        // Whoever has gone meanwhile is in another phase.
        for client in waiting.removeValue(forKey: token) ?? [] { client.tokenKnown() }
        worker.gatekeeper.forgetAnswer()
    }

    /// The control thread answers each question in its time; should it be late, nobody waits for ever. Nobody has said
    /// anything of this one token: what was sent behind the request may have another one, which is asked about.
    func giveUp(_ client: ClientConnection) {
        let token = client.record.askedToken
        waiting[token]?.removeAll { $0 === client }
        worker.gatekeeper.learn(.unavailable, about: token, at: worker.clock.wall)
        client.tokenKnown()
        worker.gatekeeper.forgetAnswer()
    }
}

extension ClientConnection {
    /// How much later than the endpoint's own time a connection loses patience.
    private static let patience = Interval.seconds(1)

    /// Only the issuer of `token` knows who sends the request at the front of `bytes`. Nothing more is read until that is known:
    /// a body waits where it is.
    func wait(for token: Span<UInt8>, _ bytes: Span<UInt8>) {
        stash.keep(bytes)
        record.hasBegun = true
        phase = .asking
        let timeout = worker.generation.configuration.tokens.introspection?.timeout ?? .zero
        deadline = worker.clock.now + timeout + ClientConnection.patience
        let name = token.withUnsafeBufferPointer { Array($0) }
        record.askedToken = name
        worker.inquiries.ask(name, for: self)
    }

    func tokenKnown() {
        guard phase == .asking else { return }
        record.askedToken = []
        phase = .head
        resume()
    }
}
