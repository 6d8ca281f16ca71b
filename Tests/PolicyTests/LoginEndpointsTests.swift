import Testing
import Wire

@testable import Policy
@testable import Settings

private let endpoints = LoginEndpoints([
    Configuration.Login.Endpoint(method: "POST", path: "/auth/login"),
    Configuration.Login.Endpoint(method: "POST", path: "/api/token/"),
    Configuration.Login.Endpoint(method: "PUT", path: "/v1/users%3Alogin"),
    Configuration.Login.Endpoint(method: "POST", path: "/a/../ambiguous"),
])

private func rows(_ method: String, _ path: String, at endpoints: LoginEndpoints = endpoints) -> LoginRows {
    endpoints.rows(method: Array(method.utf8).span, path: Array(path.utf8).span)
}

private func isLogin(_ method: String, _ path: String, at endpoints: LoginEndpoints = endpoints) -> Bool {
    rows(method, path, at: endpoints) == .plain
}

extension Configuration.Login {
    /// - Parameter rules: names of endpoints, by the names of rules.
    fileprivate init(_ endpoints: [Endpoint], rules: [(String, [Endpoint])] = []) {
        self.init(endpoints: endpoints, limit: 5, window: .seconds(60), block: .seconds(60), failureStatuses: [401])
        self.rules = rules.map {
            Rule(
                name: $0.0, kind: .mfa, endpoints: $0.1, failureStatuses: [403], limit: 5, window: .seconds(60),
                block: .seconds(60))
        }
    }
}

extension LoginEndpoints {
    fileprivate init(_ endpoints: [Configuration.Login.Endpoint]) { self.init(Configuration.Login(endpoints)) }
}

@Suite struct `A login endpoint` {
    @Test func `is met by its method and canonical path`() {
        #expect(isLogin("POST", "/auth/login"))
        #expect(isLogin("POST", "/api/token/"))
        #expect(isLogin("PUT", "/v1/users:login"))
    }

    @Test func `is met by the spellings that backends take for the same`() {
        #expect(isLogin("POST", "/auth/login/"))
        #expect(isLogin("POST", "/Auth/LOGIN"))
        #expect(isLogin("POST", "/api/token"))
    }

    @Test(arguments: [
        ("GET", "/auth/login"), ("post", "/auth/login"), ("POST", "/auth/logi"), ("POST", "/auth/login/x"),
        ("POST", "/auth/loginx"), ("POST", "/xauth/login"), ("POST", "/auth/login//"), ("POST", "/"), ("POST", ""),
        ("PUT", "/auth/login"), ("POST", "/ambiguous"), ("POS", "T/auth/login"),
    ])
    func `is not met by anything else`(method: String, path: String) {
        #expect(!isLogin(method, path))
    }

    @Test func `with a dotless i is met under plain letters, too`() {
        let turkish = LoginEndpoints([Configuration.Login.Endpoint(method: "POST", path: "/g%C4%B1r/")])
        for path in ["/g%C4%B1r", "/g%C4%B1r/", "/gir", "/GIR/"] { #expect(isLogin("POST", path, at: turkish)) }
        #expect(!isLogin("POST", "/gr", at: turkish))
    }

    @Test func `may be the root`() {
        let root = LoginEndpoints([Configuration.Login.Endpoint(method: "POST", path: "/")])
        #expect(isLogin("POST", "/", at: root))
        #expect(!isLogin("POST", "/a", at: root))
    }

    @Test func `may be of several rules`() {
        let mfa = Configuration.Login.Endpoint(method: "POST", path: "/auth/mfa")
        let login = Configuration.Login.Endpoint(method: "POST", path: "/auth/login")
        let endpoints = LoginEndpoints(Configuration.Login([login], rules: [("mfa", [mfa]), ("all", [login, mfa])]))
        #expect(rows("POST", "/auth/login", at: endpoints) == [.plain, .row(1)])
        #expect(rows("POST", "/Auth/Mfa/", at: endpoints) == [.row(0), .row(1)])
        #expect(rows("GET", "/auth/mfa", at: endpoints).isEmpty)
    }
}

@Suite struct `An answer to a login` {
    private func failed(_ rows: LoginRows, _ head: String) -> LoginRows? {
        var login = Configuration.Login([], rules: [("mfa", []), ("reset", [])])
        login.rules[0].failureField = ("X-Verdict", "Denied")
        login.rules[1].failureStatuses = [404, 422]
        var configuration = House.configuration()
        configuration.login = login
        var reader = ResponseReader(House.rules(configuration))
        let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: rows)
        return switch reader.parse(Array(head.replacing("\n", with: "\r\n").utf8).span, to: context) {
        case .final(let response): response.failedRows
        case .malformedFailedLogin(let rows): rows
        default: nil
        }
    }

    @Test func `is a failure by the rules whose statuses it has, of those that the request is for`() {
        let all: LoginRows = [.plain, .row(0), .row(1)]
        #expect(failed(all, "HTTP/1.1 401 No\nContent-Length: 0\n\n") == .plain)
        #expect(failed(all, "HTTP/1.1 403 No\nContent-Length: 0\n\n") == .row(0))
        #expect(failed(all, "HTTP/1.1 422 No\nContent-Length: 0\n\n") == .row(1))
        #expect(failed([.row(0)], "HTTP/1.1 422 No\nContent-Length: 0\n\n") == [])
        #expect(failed([], "HTTP/1.1 401 No\nContent-Length: 0\n\n") == [])
    }

    @Test func `is a failure by its field, whatever the status and the case of the field's name`() {
        let all: LoginRows = [.plain, .row(0), .row(1)]
        #expect(failed(all, "HTTP/1.1 200 OK\nx-verdict: Denied\nContent-Length: 0\n\n") == .row(0))
        #expect(failed(all, "HTTP/1.1 404 No\nX-Verdict: Denied\nContent-Length: 0\n\n") == [.row(0), .row(1)])
        #expect(failed(all, "HTTP/1.1 200 OK\nX-Verdict: denied\nContent-Length: 0\n\n") == [])
        #expect(failed([.plain], "HTTP/1.1 200 OK\nX-Verdict: Denied\nContent-Length: 0\n\n") == [])
    }

    @Test func `that cannot be read is a failure by the rules that look at fields, and by its status`() {
        let broken = "Content-Length: 1\nContent-Length: 2\n\n"
        #expect(failed([.plain, .row(0), .row(1)], "HTTP/1.1 200 OK\n" + broken) == .row(0))
        #expect(failed([.plain, .row(1)], "HTTP/1.1 404 No\n" + broken) == .row(1))
        #expect(failed([.plain, .row(1)], "HTTP/1.1 200 OK\n" + broken) == nil)
    }
}
