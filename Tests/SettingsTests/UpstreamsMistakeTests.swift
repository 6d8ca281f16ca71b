import Testing

@testable import Settings

private let route = "routes: [{path: /, upstream: api, auth: none}]\n"

@Suite struct `Mistakes about upstreams` {
    @Test(arguments: [
        Mistake(
            "a header to hash on that has no name",
            """
            \(route)upstreams:
              api:
                servers: ["127.0.0.1:9000"]
                balance: consistent_hash
                hash_on: header
            """,
            says: """
                gateway.conf:6:14: error: the header to go by has no name
                    hash_on: header
                             ^~~~~~
                    set "upstreams.api.hash_name"
                """),
        Mistake(
            "a longest ejection that is shorter than the first",
            """
            \(route)upstreams:
              api:
                servers: ["127.0.0.1:9000"]
                ejection: {time: 1m, max_time: 10s}
            """,
            says: """
                gateway.conf:5:36: error: the longest time is shorter than the first one
                    ejection: {time: 1m, max_time: 10s}
                                                   ^~~
                    set "upstreams.api.ejection.time" to less
                """),
        Mistake(
            "a health check of no path",
            """
            \(route)upstreams:
              api:
                servers: ["127.0.0.1:9000"]
                health_check: {path: healthz}
            """,
            says: """
                gateway.conf:5:26: error: the path does not begin with /
                    health_check: {path: healthz}
                                         ^~~~~~~
                    write /healthz
                """),
        Mistake(
            "a health check of a path with a space",
            """
            \(route)upstreams:
              api:
                servers: ["127.0.0.1:9000"]
                health_check: {path: "/health z"}
            """,
            says: """
                gateway.conf:5:26: error: the path has a character that no request may have there
                    health_check: {path: "/health z"}
                                         ^~~~~~~~~~~
                    write it as %20 and the like
                """),
        Mistake(
            "something to hash on where nothing is hashed",
            """
            \(route)upstreams:
              api:
                servers: ["127.0.0.1:9000"]
                hash_on: subject
            """,
            says: """
                gateway.conf:5:14: warning: the servers of "api" are not chosen by it
                    hash_on: subject
                             ^~~~~~~
                    set balance: consistent_hash
                """),
    ])
    func `are told with their place and remedy`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }
}
