import Testing
import Wire

@testable import Settings

@Suite struct `The shipped gateway.conf` {
    @Test func `loads without any secret, with one warning that says how to mend`() throws {
        let result = Configuration.load(try shipped())
        #expect(
            result.diagnostics.map(\.description) == [
                """
                gateway.conf: warning: every request to routes "/admin", "/" will be refused with 401: there is no token key
                    set "tokens.keys", or JWT_SECRET in the environment (openssl rand -hex 32 makes one)
                """
            ])
        let configuration = try #require(result.configuration)
        #expect(configuration.listeners == [.init(host: "0.0.0.0", port: 8080)])
        #expect(configuration.upstreams.map(\.name) == ["api"])
        #expect(configuration.routes.map(\.path) == ["/auth", "/api/v1/auth", "/admin", "/"])
        #expect(configuration.routes.map(\.authentication) == [.none, .none, .required, .required])
        #expect(configuration.login.limit == 5)
        #expect(configuration.login.window == .seconds(86_400))
        #expect(configuration.login.block == .seconds(300))
        #expect(configuration.redis == nil)
    }

    @Test func `is without a warning when JWT_SECRET is in the environment`() throws {
        let secret = "0123456789abcdef0123456789abcdef"
        let result = Configuration.load(try shipped(["JWT_SECRET": secret]))
        #expect(result.diagnostics == [])
        let key = try #require(result.configuration?.tokens.keys.first)
        #expect(key.id == "JWT_SECRET")
        #expect(key.algorithms == ["HS256"])
        guard case .secret(let bytes) = key.source else {
            Issue.record("not a shared secret")
            return
        }
        #expect(bytes.revealed == Array(secret.utf8))
    }

    private func shipped(_ environment: [String: String] = [:]) throws -> ConfigurationSource {
        .init(path: "gateway.conf", contents: try repositoryFile("gateway.conf"), environment: environment)
    }
}
