import Testing

@testable import Policy
@testable import Settings

private func route(_ path: String, host: String? = nil, methods: [String] = []) -> Configuration.Route {
    Configuration.Route(
        name: path, host: host, path: path, methods: methods, upstream: 0, authentication: .required, cookie: nil,
        requiredClaims: [], requiredRoles: [], cors: nil)
}

/// A route table that is asked with text, and may be named in an expectation: what cannot be copied may not.
final class Table {
    private let routes: RouteTable
    init(_ routes: [Configuration.Route]) { self.routes = RouteTable(routes) }

    func match(_ host: String, _ path: String, _ method: String = "GET") -> RouteTable.Match {
        routes.match(host: Array(host.utf8).span, path: Array(path.utf8).span, method: Array(method.utf8).span)
    }

    func allowedMethods(at place: Int) -> String { routes.allowedMethods(at: place) }
    func allowedMethods(ofRoute route: Int) -> String { routes.allowedMethods(ofRoute: route) }
}

@Suite struct `The route table` {
    @Test func `without routes has no match`() {
        #expect(Table([]).match("example.org", "/") == .noRoute)
    }

    @Test func `matches prefixes of whole segments`() {
        let table = Table([route("/api"), route("/auth/login")])
        #expect(table.match("h", "/api") == .route(0))
        #expect(table.match("h", "/api/") == .route(0))
        #expect(table.match("h", "/api/users/1") == .route(0))
        #expect(table.match("h", "/auth/login") == .route(1))
        for path in ["/apix", "/ap", "/", "/auth", "/auth/", "/auth/loginx", "/x/api", ""] {
            #expect(table.match("h", path) == .noRoute)
        }
    }

    @Test func `does not let another case walk past a route to one that asks for less`() {
        let table = Table([route("/"), route("/Admin")])
        for path in ["/admin", "/ADMIN", "/Admin/users", "/aDmIn/x"] {
            #expect(table.match("h", path) == .route(1))
        }
        #expect(table.match("h", "/administration") == .route(0))
    }

    @Test func `finds a route with a dotless i under plain letters, too, unless another one is there`() {
        let table = Table([route("/"), route("/kap%c4%b1"), route("/%C5%BF%E2%84%AA", methods: ["GET"]), route("/sk")])
        for path in ["/kap%C4%B1", "/kapi", "/KAPI/x", "/kap%c4%b1/x"] { #expect(table.match("h", path) == .route(1)) }
        #expect(table.match("h", "/%C5%BF%E2%84%AA") == .route(2))
        #expect(table.match("h", "/sk") == .route(3))
        #expect(table.match("h", "/kap") == .route(0))
        #expect(table.allowedMethods(ofRoute: 2) == "GET, HEAD")
    }

    @Test func `holds a hundred routes with such letters`() {
        let table = Table((0..<100).map { route("/k%C4%B1\($0)") })
        for index in 0..<100 {
            #expect(table.match("h", "/k%C4%B1\(index)") == .route(index))
            #expect(table.match("h", "/ki\(index)") == .route(index))
        }
        #expect(table.match("h", "/kix") == .noRoute)
    }

    @Test func `prefers the longest prefix, wherever it stands in the file`() {
        let table = Table([route("/"), route("/a/b/c"), route("/a"), route("/a/b")])
        #expect(table.match("h", "/") == .route(0))
        #expect(table.match("h", "/x") == .route(0))
        #expect(table.match("h", "/a") == .route(2))
        #expect(table.match("h", "/a/x/c") == .route(2))
        #expect(table.match("h", "/a/b") == .route(3))
        #expect(table.match("h", "/a/b/cc") == .route(3))
        #expect(table.match("h", "/a/b/c/d") == .route(1))
    }

    @Test func `takes a slash at the end of a route's path for no difference`() {
        let table = Table([route("/api/"), route("/api")])
        #expect(table.match("h", "/api") == .route(0))
        #expect(table.match("h", "/api/x") == .route(0))
    }

    @Test func `compares with the canonical form of a route's path`() {
        let table = Table([route("/v1/users%3Alogin"), route("/caf%c3%a9"), route("/a/../b")])
        #expect(table.match("h", "/v1/users:login") == .route(0))
        #expect(table.match("h", "/caf%C3%A9/x") == .route(1))
        #expect(table.match("h", "/b") == .noRoute)
    }

    @Test func `prefers an exact host to a wildcard to any`() {
        let table = Table([
            route("/"), route("/", host: "*.example.org"), route("/", host: "api.example.org"),
            route("/", host: "*.eu.example.org"),
        ])
        #expect(table.match("api.example.org", "/") == .route(2))
        #expect(table.match("API.Example.ORG", "/") == .route(2))
        #expect(table.match("www.example.org", "/") == .route(1))
        #expect(table.match("a.b.example.org", "/") == .route(1))
        #expect(table.match("a.eu.example.org", "/") == .route(3))
        #expect(table.match("eu.example.org", "/") == .route(1))
        #expect(table.match("a.api.example.org", "/") == .route(1))
        #expect(table.match("example.org", "/") == .route(0))
        #expect(table.match(".example.org", "/") == .route(0))
        #expect(table.match("notexample.org", "/") == .route(0))
        #expect(table.match("[::1]", "/") == .route(0))
        #expect(table.match("", "/") == .route(0))
    }

    @Test func `goes on to a less specific host only when the path is unknown to the first`() {
        let table = Table([
            route("/"), route("/a", host: "api.example.org"), route("/b", host: "*.example.org"),
        ])
        #expect(table.match("api.example.org", "/a") == .route(1))
        #expect(table.match("api.example.org", "/b") == .route(2))
        #expect(table.match("api.example.org", "/c") == .route(0))
        #expect(Table([route("/", host: "example.org")]).match("example.net", "/") == .noRoute)
    }

    @Test func `chooses by method among the routes of one place`() {
        let table = Table([
            route("/a"), route("/a", methods: ["POST"]), route("/b", methods: ["GET"]),
            route("/b", methods: ["PUT", "PATCH"]),
        ])
        #expect(table.match("h", "/a", "POST") == .route(1))
        #expect(table.match("h", "/a", "GET") == .route(0))
        #expect(table.match("h", "/b", "PATCH") == .route(3))
        #expect(table.match("h", "/b", "GET") == .route(2))
        #expect(table.match("h", "/b", "get") == .methodNotAllowed(place: 1))
    }

    @Test func `never passes over the most specific place because of the method`() {
        let table = Table([route("/"), route("/admin", methods: ["GET", "POST"])])
        let match = table.match("h", "/admin/users", "DELETE")
        #expect(match == .methodNotAllowed(place: 1))
        #expect(table.allowedMethods(at: 1) == "GET, POST, HEAD")
        #expect(table.match("h", "/other", "DELETE") == .route(0))
    }

    @Test func `lets HEAD go where GET goes, unless HEAD has a route`() {
        let table = Table([
            route("/a", methods: ["GET"]), route("/b", methods: ["GET"]), route("/b", methods: ["HEAD"]), route("/c"),
            route("/d", methods: ["POST"]), route("/e"), route("/e", methods: ["GET"]),
        ])
        #expect(table.match("h", "/a", "HEAD") == .route(0))
        #expect(table.match("h", "/b", "HEAD") == .route(2))
        #expect(table.match("h", "/c", "HEAD") == .route(3))
        #expect(table.match("h", "/d", "HEAD") == .methodNotAllowed(place: 3))
        #expect(table.match("h", "/e", "HEAD") == .route(6))
    }

    @Test func `takes the first of equal routes`() {
        let table = Table([
            route("/a", methods: ["GET"]), route("/a", methods: ["GET", "PUT"]), route("/b"), route("/b"),
        ])
        #expect(table.match("h", "/a", "GET") == .route(0))
        #expect(table.match("h", "/a", "PUT") == .route(1))
        #expect(table.match("h", "/b") == .route(2))
    }

    @Test func `finds each of ten thousand routes`() {
        var routes: [Configuration.Route] = []
        for host in 0..<100 {
            for path in 0..<100 { routes.append(route("/service\(path)/v1", host: "h\(host).example.org")) }
        }
        let table = Table(routes)
        for index in stride(from: 0, to: 10_000, by: 37) {
            let (host, path) = index.quotientAndRemainder(dividingBy: 100)
            #expect(table.match("h\(host).example.org", "/service\(path)/v1/x") == .route(index))
            #expect(table.match("h\(host).example.org", "/service\(path)/v2") == .noRoute)
        }
    }
}
