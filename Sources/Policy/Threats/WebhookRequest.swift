internal import Crypto
package import Settings
package import Wire

/// What delivers one message to a webhook, in the form of Standard Webhooks (standardwebhooks.com): an identifier that
/// is the same with each attempt, the time of the attempt, and an HMAC-SHA256 of both with the body.
package enum WebhookRequest {
    /// One request per connection, as of keys.
    package static func bytes(
        _ body: [UInt8], id: String, at wall: WallTime, to webhook: Configuration.Threats.Webhook
    ) -> [UInt8] {
        let url = webhook.url
        var bytes = Array(
            """
            POST \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\nUser-Agent: gateway\r\n\
            Content-Type: application/json\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\
            Webhook-Id: \(id)\r\nWebhook-Timestamp: \(wall.seconds)\r\n
            """.utf8)
        if let signature = signature(of: body, id: id, at: wall.seconds, with: webhook.secret) {
            bytes += Array("Webhook-Signature: v1,".utf8) + signature + Array("\r\n".utf8)
        }
        return bytes + Array("\r\n".utf8) + body
    }

    /// In base64. Nil: there is no secret.
    static func signature(of body: [UInt8], id: String, at seconds: Int64, with secret: Secret?) -> [UInt8]? {
        guard let secret, let key = try? KeyMaterial(secret: secret.revealed) else { return nil }
        let text = Array("\(id).\(seconds).".utf8) + body
        return key.code(of: text.span, .hs256).map(Base64.encode)
    }

    /// To the next attempt, behind so many.
    package static func pause(after attempts: Int) -> Interval {
        .seconds(min(60, 1 << (2 * min(max(0, attempts - 1), 3))))
    }
}
