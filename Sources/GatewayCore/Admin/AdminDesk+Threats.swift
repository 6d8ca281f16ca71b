internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    /// The answer comes when the webhook's has, or is late.
    func testWebhook(_ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let threats = gateway.desk.threats
        guard let webhook = threats.settings.webhook else { return completion(AdminProblem.noWebhook.response) }
        let isSent = threats.testWebhook { problem in
            completion(
                .json([
                    "url": .string(webhook.url.origin), "accepted": .boolean(problem == nil),
                    "problem": JSONValue(problem),
                ]))
        }
        guard isSent else { return completion(AdminProblem.webhookIsTested.response) }
        record("webhook_tested", "a message without a threat was sent to the webhook", actor)
    }
}

extension AdminProblem {
    static let noWebhook = AdminProblem.unusable("nobody is told of threats: set threats.webhook.url")
    static let webhookIsTested = AdminProblem.unusable("a test of the webhook is under way; ask again when it is over")
}
