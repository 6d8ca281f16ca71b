import Testing
import Wire

@testable import Settings

@Suite struct `The environment` {
    @Test func `goes before the file, and the file before the default`() throws {
        let text = minimal + "login: {limit: 7, window: 2h}\n"
        let configuration = try #require(load(text, ["GATEWAY_LOGIN__LIMIT": "9"]).configuration)
        #expect(configuration.login.limit == 9)
        #expect(configuration.login.window == .seconds(7_200))
        #expect(configuration.login.block == .seconds(300))
    }

    @Test func `replaces the servers of a named upstream by a list with commas`() throws {
        let text = """
            upstreams: {my-api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: my-api, auth: none}]
            """
        let variables = ["GATEWAY_UPSTREAMS__MY_API__SERVERS": "demo-api:8000, [2001:db8::1]:8001"]
        let configuration = try #require(load(text, variables).configuration)
        #expect(
            configuration.upstreams.first?.servers == [
                .tcp(.init(host: "demo-api", port: 8000)), .tcp(.init(host: "2001:db8::1", port: 8001)),
            ])
    }

    @Test func `gives an upstream its servers when the file names none`() throws {
        let text = "upstreams: {api: {}}\nroutes: [{path: /, upstream: api, auth: none}]\n"
        let configuration = try #require(load(text, ["GATEWAY_UPSTREAMS__API__SERVERS": "api:80"]).configuration)
        #expect(configuration.upstreams.map(\.servers) == [[.tcp(.init(host: "api", port: 80))]])
    }

    @Test func `changes host and port of the first listener one by one`() throws {
        let text = minimal + "listen: [\"0.0.0.0:8080\", \"0.0.0.0:8443\"]\n"
        let configuration = try #require(load(text, ["GATEWAY_HOST": "::1", "GATEWAY_PORT": "0"]).configuration)
        #expect(configuration.listeners == [.init(host: "::1", port: 0), .init(host: "0.0.0.0", port: 8443)])
        let defaults = try #require(load(minimal, ["GATEWAY_PORT": "8000"]).configuration)
        #expect(defaults.listeners == [.init(host: "0.0.0.0", port: 8000)])
    }

    @Test func `understands the names of the runbooks`() throws {
        let variables = [
            "GATEWAY_BLOCK_DURATION_SECONDS": "86400", "GATEWAY_FAILED_LOGIN_WINDOW_SECONDS": "3600",
            "REDIS_HOST": "redis", "REDIS_PORT": "6380", "REDIS_PASSWORD": "swordfish", "REDIS_DB": "2",
            "REDIS_SSL": "false",
        ]
        let result = load(minimal, variables)
        #expect(result.diagnostics == [])
        let configuration = try #require(result.configuration)
        #expect(configuration.login.block == .seconds(86_400))
        #expect(configuration.login.window == .seconds(3_600))
        let redis = try #require(configuration.redis)
        #expect(redis.location == .tcp(.init(host: "redis", port: 6380)))
        #expect(redis.password?.revealed == Array("swordfish".utf8))
        #expect(redis.database == 2)
        #expect(redis.deadline == .milliseconds(250))
        #expect(redis.startupWait == .seconds(5))
    }

    @Test func `brings no Redis about with a port alone`() throws {
        let result = load(minimal, ["REDIS_PORT": "6379"])
        #expect(
            result.diagnostics.map(\.description) == [
                """
                REDIS_PORT: warning: no Redis is configured, so this variable does nothing
                    set REDIS_HOST, or "redis" in the file
                """
            ])
        #expect(try #require(result.configuration).redis == nil)
    }

    @Test func `counts an empty variable as not set`() throws {
        let result = load(minimal, ["REDIS_HOST": "", "REDIS_PASSWORD": "", "JWT_SECRET": "", "GATEWAY_PORT": ""])
        #expect(result.diagnostics == [])
        let configuration = try #require(result.configuration)
        #expect(configuration.redis == nil)
        #expect(configuration.tokens.keys.isEmpty)
    }

    @Test func `leaves variables of others alone`() {
        #expect(
            load(minimal, ["PATH": "/bin", "TLS_VERSION": "1", "GATEWAY_CONFIG": "x", "REDIS_URL": "x"]).diagnostics
                == [])
    }

    @Test func `gives keys for tokens besides those of the file`() throws {
        let text = minimal + "tokens: {keys: [{id: main, secret: 0123456789abcdef0123456789abcdef}]}\n"
        let pem = "-----BEGIN RSA PRIVATE KEY-----\\nMIIB\\n-----END RSA PRIVATE KEY-----"
        let variables = ["JWT_SECRET_FILE": "/run/jwt", "RSA_PRIVATE_KEY": pem]
        let secret = String(repeating: "s", count: 32)
        let result = load(text, variables, files: ["/run/jwt": file(secret, mode: 0o640)])
        #expect(result.diagnostics == [])
        let keys = try #require(result.configuration).tokens.keys
        #expect(keys.map(\.id) == ["main", "JWT_SECRET", "RSA_PRIVATE_KEY"])
        #expect(keys.map(\.algorithms) == [["HS256"], ["HS256"], ["RS256"]])
        guard case .secret(let bytes) = keys[1].source, case .pem(_, let contents) = keys[2].source else {
            Issue.record("the sources are \(keys.map(\.source))")
            return
        }
        #expect(bytes.revealed == Array(secret.utf8))
        #expect(
            contents.revealed
                == Array("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----".utf8))
    }

    @Test func `puts its secret before the file's secret file`() throws {
        let text = minimal + "admin: {token_file: /run/admin}\n"
        let result = load(text, ["GATEWAY_ADMIN__TOKEN": "from-the-environment"])
        #expect(result.diagnostics == [])
        #expect(try #require(result.configuration).admin.token?.revealed == Array("from-the-environment".utf8))
    }

    @Test func `is named in the effective configuration`() {
        let lines = load(minimal + "login: {limit: 7}\n", ["GATEWAY_LOGIN__BLOCK": "1h"]).effective
            .split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(lines.contains("login.limit: 7 # gateway.conf:3"))
        #expect(lines.contains("login.block: 1h # environment GATEWAY_LOGIN__BLOCK"))
        #expect(lines.contains("login.window: 1d # default"))
        #expect(lines.contains("upstreams.api.servers: [127.0.0.1:9000] # gateway.conf:1"))
        #expect(!lines.contains { $0.hasPrefix("redis") })
    }
}
