import Settings
import Testing

@testable import Policy

private let endpoints = LoginEndpoints([
    Configuration.Login.Endpoint(method: "POST", path: "/auth/login"),
    Configuration.Login.Endpoint(method: "POST", path: "/api/token/"),
    Configuration.Login.Endpoint(method: "PUT", path: "/v1/users%3Alogin"),
    Configuration.Login.Endpoint(method: "POST", path: "/a/../ambiguous"),
])

private func isLogin(_ method: String, _ path: String, at endpoints: LoginEndpoints = endpoints) -> Bool {
    endpoints.contains(method: Array(method.utf8).span, path: Array(path.utf8).span)
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

    @Test func `may be the root`() {
        let root = LoginEndpoints([Configuration.Login.Endpoint(method: "POST", path: "/")])
        #expect(isLogin("POST", "/", at: root))
        #expect(!isLogin("POST", "/a", at: root))
    }
}
