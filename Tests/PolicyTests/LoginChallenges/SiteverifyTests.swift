import Testing

@testable import Policy
@testable import Settings
@testable import Wire

@Suite struct `A question about a CAPTCHA` {
    static func settings(
        _ provider: Configuration.Login.Siteverify.Provider = .turnstile, hosts: [String] = []
    ) -> Configuration.Login.Siteverify {
        var siteverify = Configuration.Login.Siteverify(
            provider, url: WebAddress("https://captcha.example.org/v0/verify")!, siteKey: "site",
            secret: Secret("s3cret&x"))
        siteverify.hostnames = hosts
        return siteverify
    }

    @Test func `is a form with the secret, the token and the client`() {
        let bytes = SiteverifyRequest.bytes(
            about: Array("0.a&secret=b".utf8), of: IPAddress("2001:db8::7")!, Self.settings())
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                POST /v0/verify HTTP/1.1\r
                Host: captcha.example.org\r
                User-Agent: gateway\r
                Accept: application/json\r
                Accept-Encoding: identity\r
                Connection: close\r
                Content-Type: application/x-www-form-urlencoded\r
                Content-Length: 70\r
                \r
                secret=s3cret%26x&response=0.a%26secret%3Db&remoteip=2001%3Adb8%3A%3A7
                """)
    }

    @Test func `is for the site's own key where the provider asks for that`() {
        func form(_ provider: Configuration.Login.Siteverify.Provider) -> String {
            let bytes = SiteverifyRequest.bytes(
                about: Array("t".utf8), of: IPAddress("192.0.2.7")!, Self.settings(provider))
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(form(.hcaptcha).hasSuffix("\r\n\r\nsecret=s3cret%26x&response=t&remoteip=192.0.2.7&sitekey=site"))
        #expect(form(.hcaptcha).contains("\r\nContent-Length: 60\r\n"))
        #expect(form(.recaptcha).hasSuffix("remoteip=192.0.2.7") && form(.turnstile).hasSuffix("remoteip=192.0.2.7"))
    }

    private func read(
        _ text: String, _ siteverify: Configuration.Login.Siteverify = settings(),
        at now: WallTime = WallTime(text: "2026-11-30T06:10:00Z")!
    ) -> SiteverifyAnswer {
        SiteverifyReader().read(Array(text.utf8), siteverify, life: .seconds(600), at: now)
    }

    @Test func `is answered by the literal true`() {
        #expect(read(#"{"success":true}"#) == .good)
        #expect(
            read(#"{"success": true, "challenge_ts":"2026-11-30T06:05:00Z","hostname":"a.b","x":{"y":[1]}}"#) == .good)
        #expect(read(#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#) == .bad)
        #expect(read(#"{"success":false}"#) == .bad)
    }

    @Test(arguments: [
        "", "true", "{}", "[]", #"{"success":"true"}"#, #"{"success":1}"#, #"{"success":null}"#, #"{"success":true"#,
        #"{"success":false,"success":true}"#, #"{"success":true} x"#, #"{"Success":true}"#, "<html>",
    ])
    func `is not answered by anything else`(text: String) { #expect(read(text) == .unreadable) }

    @Test func `is refused on other hosts' pages`() {
        let ours = Self.settings(hosts: ["www.example.org", "example.org"])
        #expect(read(#"{"success":true,"hostname":"WWW.example.org"}"#, ours) == .good)
        #expect(read(#"{"success":true,"hostname":"www.example.org.evil"}"#, ours) == .bad)
        #expect(read(#"{"success":true,"hostname":["www.example.org"]}"#, ours) == .bad)
        #expect(read(#"{"success":true}"#, ours) == .bad)
    }

    @Test func `is refused when the CAPTCHA was solved long ago`() {
        #expect(read(#"{"success":true,"challenge_ts":"2026-11-30T06:00:00.000Z"}"#) == .good)
        #expect(read(#"{"success":true,"challenge_ts":"2026-11-30T05:59:59Z"}"#) == .bad)
        #expect(read(#"{"success":true,"challenge_ts":"yesterday"}"#) == .good)
    }

    @Test func `is refused for a low score of reCAPTCHA alone`() {
        #expect(read(#"{"success":true,"score":0.5}"#, Self.settings(.recaptcha)) == .good)
        #expect(read(#"{"success":true,"score":0.49}"#, Self.settings(.recaptcha)) == .bad)
        // There it is the other way round.
        #expect(read(#"{"success":true,"score":0.1}"#, Self.settings(.hcaptcha)) == .good)
    }

    @Test func `tells of a secret that the provider does not know`() {
        #expect(read(#"{"success":false,"error-codes":["bad-request","invalid-input-secret"]}"#) == .secretUnknown)
        #expect(read(#"{"success":false,"error-codes":["invalid-input-response"]}"#) == .bad)
        #expect(read(#"{"success":false,"error-codes":"invalid-input-secret"}"#) == .bad)
    }
}
