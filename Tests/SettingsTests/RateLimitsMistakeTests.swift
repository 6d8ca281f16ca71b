import Testing

@testable import Settings

/// About limits that replicas share.
@Suite struct `A mistake about shared rate limits` {
    @Test func `is to have no Redis to share them through`() {
        let mistake = Mistake(
            "no Redis",
            """
            \(minimal)rate_limits:
              per_address: {rate: 100/min}
              shared: true
            """,
            says: """
                gateway.conf:5:11: error: there is no Redis to share rate limits through
                    shared: true
                            ^~~~
                    set "redis.address", or remove it
                """)
        #expect(mistake.report() == mistake.says)
    }

    @Test(arguments: ["redis: {address: \"10.0.0.9:6379\"}\n", "redis: {cluster: [\"10.0.0.9:6379\"]}\n"])
    func `is not made where there is one`(redis: String) throws {
        let result = load(minimal + redis + "rate_limits: {per_address: {rate: 100/min}, shared: true}")
        #expect(result.diagnostics.map(\.description) == [])
        #expect(try #require(result.configuration).rateLimits.isShared)
    }

    @Test func `is not made by saying that nothing is shared`() throws {
        let result = load(minimal + "rate_limits: {shared: false}")
        #expect(result.diagnostics.map(\.description) == [])
        #expect(try #require(result.configuration).rateLimits.isShared == false)
    }
}
