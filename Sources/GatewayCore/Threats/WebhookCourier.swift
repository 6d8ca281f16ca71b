internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Delivers messages to the webhook, one after another, on the control thread and never blocking it. One that is not
/// accepted is sent again for a while; so many may wait, and no more.
final class WebhookCourier {
    private enum Phase {
        /// Nothing waits, or nobody is told. → `sending`
        case idle
        /// → `idle`, `pausing`
        case sending(DocumentFetch)
        /// Until the first message is sent again. → `sending`
        case pausing
    }

    private let loop: EventLoop
    private let log: OperationalLog
    private let metrics: ThreatMetrics
    /// Of its own, as that of keys.
    private lazy var resolver = ResolverPort(Resolver(), on: loop)
    private var webhook: Configuration.Threats.Webhook?
    private var tls: TLSClientContext?
    private var queue = WebhookQueue()
    private var phase = Phase.idle
    private lazy var timer = LoopTimer(on: loop) { [unowned self] in
        phase = .idle
        sendFirst()
    }
    /// A message that nobody waits in line for.
    private var trial: DocumentFetch?
    /// An operator's client does not wait longer for the answer to it.
    private static let patience = Interval.seconds(20)
    /// What went wrong the last time; nil: nothing.
    private(set) var problem: String?
    /// It was told that messages are lost, and none was accepted since.
    private var isLossTold = false

    init(on loop: EventLoop, log: OperationalLog, metrics: ThreatMetrics) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
    }

    var waiting: Int { queue.count }

    /// What waits goes to the new one. Without one it is dropped.
    func adopt(_ webhook: Configuration.Threats.Webhook?, tls: TLSClientContext?) {
        let isSame = webhook == self.webhook
        self.webhook = webhook
        self.tls = tls
        guard !isSame else { return }
        if case .sending(let fetch) = phase { fetch.cancel() }
        phase = .idle
        timer.cancel()
        problem = nil
        if webhook == nil {
            for _ in 0..<queue.count { metrics.count(.dropped) }
            queue.clear()
        }
        queue.startOver()
        sendFirst()
    }

    func send(_ message: WebhookMessage) {
        guard webhook != nil else { return }
        let added = queue.add(message)
        if added?.isLossy != false {
            metrics.count(.dropped)
            tellOfLoss()
        }
        if added?.place == .first, case .pausing = phase {
            // It does not wait for another one's pause.
            timer.cancel()
            phase = .idle
        }
        sendFirst()
    }

    /// Sends a message at once, and says why it was not accepted; nil: it was.
    /// False: there is nobody to send it to, or another one is on its way.
    func test(id: String, _ body: [UInt8], then done: @escaping (String?) -> Void) -> Bool {
        guard trial == nil, let webhook, !webhook.url.isSecure || tls != nil else { return false }
        let message = WebhookMessage(id: id, body, .news)
        trial = fetch(message, webhook, within: min(webhook.timeout, WebhookCourier.patience)) {
            [unowned self] result in
            // It is the caller.
            let last = trial
            loop.atEndOfTurn { withExtendedLifetime(last) {} }
            trial = nil
            switch result {
            case .success: done(nil)
            case .failure(let failure): done(failure.description)
            }
        }
        return true
    }

    private func fetch(
        _ message: WebhookMessage, _ webhook: Configuration.Threats.Webhook, within timeout: Interval,
        then done: @escaping (Result<FetchedDocument, ProviderProblem>) -> Void
    ) -> DocumentFetch {
        DocumentFetch(
            webhook.url, asking: WebhookRequest.bytes(message.body, id: message.id, at: .now(), to: webhook),
            kind: .acknowledgement, tls: webhook.url.isSecure ? tls : nil, timeout: timeout, on: loop,
            resolver: resolver, done: done)
    }

    private func sendFirst() {
        metrics.queued = queue.count
        guard case .idle = phase, let webhook, !webhook.url.isSecure || tls != nil, let message = queue.send()
        else { return }
        phase = .sending(fetch(message, webhook, within: webhook.timeout) { [unowned self] in ended($0) })
    }

    private func ended(_ result: Result<FetchedDocument, ProviderProblem>) {
        // It is the caller.
        let last = phase
        loop.atEndOfTurn { withExtendedLifetime(last) {} }
        phase = .idle
        guard let webhook else { return }
        switch result {
        case .success:
            queue.accepted()
            metrics.count(.sent)
            isLossTold = false
            if problem != nil {
                problem = nil
                log.log(.info, "traffic.webhook_works", "The webhook takes messages again", [url(webhook)])
            }
        case .failure(let failure):
            failed(failure.description, webhook)
            if let pause = queue.refused(retries: webhook.retries) {
                phase = .pausing
                timer.fire(after: pause)
                return
            }
            metrics.count(.failed)
            tellOfLoss()
        }
        sendFirst()
    }

    private func failed(_ reason: String, _ webhook: Configuration.Threats.Webhook) {
        guard problem != reason else { return }
        problem = reason
        log.log(
            .warning, "traffic.webhook_failed", "The webhook did not take a message about a threat",
            [url(webhook), ("reason", .text(reason))])
    }

    private func tellOfLoss() {
        guard !isLossTold, let webhook else { return }
        isLossTold = true
        log.log(
            .error, "traffic.webhook_lost", "Messages to the webhook are lost; logs and audit records have them",
            [url(webhook), ("reason", .text(problem ?? "too many wait"))])
    }

    private func url(_ webhook: Configuration.Threats.Webhook) -> (String, LogValue) {
        ("url", .text(webhook.url.origin))
    }
}
