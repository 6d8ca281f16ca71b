import Testing

@testable import Settings

@Suite struct `A mistake in a value` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "a number out of range",
            """
            \(minimal)workers: 65
            """,
            says: """
                gateway.conf:3:10: error: 65 is out of range
                    workers: 65
                             ^~
                    from 1 to 64
                """),
        Mistake(
            "a number that is a word",
            """
            \(minimal)login: {limit: five}
            """,
            says: """
                gateway.conf:3:16: error: "five" is not a number
                    login: {limit: five}
                                   ^~~~
                    write digits only, without leading zeros, such as 10
                """),
        Mistake(
            "010, which is 8 to YAML 1.1",
            """
            \(minimal)login: {limit: 010}
            """,
            says: """
                gateway.conf:3:16: error: "010" is not a number
                    login: {limit: 010}
                                   ^~~
                    write digits only, without leading zeros, such as 10
                """),
        Mistake(
            "12:30, which is 750 to YAML 1.1",
            """
            \(minimal)login: {block: 12:30}
            """,
            says: """
                gateway.conf:3:16: error: "12:30" is not a duration
                    login: {block: 12:30}
                                   ^~~~~
                    write a whole number and one of ms, s, m, h, d, such as 250ms or 5m
                """),
        Mistake(
            "yes for a switch",
            """
            \(minimal)forwarding: {forwarded: yes}
            """,
            says: """
                gateway.conf:3:25: error: "yes" is neither true nor false
                    forwarding: {forwarded: yes}
                                            ^~~
                    write true
                """),
        Mistake(
            "no for a word",
            """
            \(minimal)logs: {level: no}
            """,
            says: """
                gateway.conf:3:15: error: "no" is not one of debug, info, warning, error
                    logs: {level: no}
                                  ^~
                """),
        Mistake(
            "a duration without a unit",
            """
            \(minimal)timeouts: {head: 10}
            """,
            says: """
                gateway.conf:3:18: error: the duration 10 has no unit
                    timeouts: {head: 10}
                                     ^~
                    write 10s for seconds; the units are ms, s, m, h, d
                """),
        Mistake(
            "a duration with a unit of its own",
            """
            \(minimal)timeouts: {head: 10 sec}
            """,
            says: """
                gateway.conf:3:18: error: "10 sec" is not a duration
                    timeouts: {head: 10 sec}
                                     ^~~~~~
                    write a whole number and one of ms, s, m, h, d, such as 250ms or 5m
                """),
        Mistake(
            "a duration out of range",
            """
            \(minimal)tokens: {leeway: 5m}
            """,
            says: """
                gateway.conf:3:18: error: 5m is out of range
                    tokens: {leeway: 5m}
                                     ^~
                    from 0s to 1m
                """),
        Mistake(
            "a size with a decimal unit",
            """
            \(minimal)limits: {head: 16KB}
            """,
            says: """
                gateway.conf:3:16: error: "16KB" is not a size
                    limits: {head: 16KB}
                                   ^~~~
                    write bytes or KiB, MiB, GiB, such as 16KiB
                """),
        Mistake(
            "a size beyond all numbers",
            """
            \(minimal)limits: {body: 99999999999GiB}
            """,
            says: """
                gateway.conf:3:16: error: 99999999999GiB is out of range
                    limits: {body: 99999999999GiB}
                                   ^~~~~~~~~~~~~~
                    from 0 to 1024GiB
                """),
        Mistake(
            "a misspelt choice",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: requierd}]
            """,
            says: """
                gateway.conf:2:41: error: "requierd" is not one of none, optional, required
                    routes: [{path: /, upstream: api, auth: requierd}]
                                                            ^~~~~~~~
                    did you mean "required"?
                """),
        Mistake(
            "an address without a port",
            """
            \(minimal)listen: ["0.0.0.0"]
            """,
            says: """
                gateway.conf:3:10: error: "0.0.0.0" has no port
                    listen: ["0.0.0.0"]
                             ^~~~~~~~~
                    write host:port, such as 127.0.0.1:8080 or [::1]:8080
                """),
        Mistake(
            "an IPv6 address without brackets",
            """
            \(minimal)listen: ["::1:8080"]
            """,
            says: """
                gateway.conf:3:10: error: "::1:8080" is ambiguous
                    listen: ["::1:8080"]
                             ^~~~~~~~~~
                    put an IPv6 address in brackets: [::1]:8080
                """),
        Mistake(
            "an impossible IPv4 address",
            """
            upstreams: {api: {servers: ["127.0.0.256:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:1:29: error: "127.0.0.256" is not an IPv4 address
                    upstreams: {api: {servers: ["127.0.0.256:9000"]}}
                                                ^~~~~~~~~~~~~~~~~~
                    four numbers from 0 to 255, without leading zeros
                """),
        Mistake(
            "a port beyond 65535",
            """
            upstreams: {api: {servers: ["127.0.0.1:90000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:1:29: error: "90000" is not a port
                    upstreams: {api: {servers: ["127.0.0.1:90000"]}}
                                                ^~~~~~~~~~~~~~~~~
                    a port is a number from 1 to 65535
                """),
        Mistake(
            "a network with host bits",
            """
            \(minimal)trusted_proxies:
              - 10.1.2.3/8
              - 2001:db8::1/32
            """,
            says: """
                gateway.conf:4:5: error: "10.1.2.3/8" has bits set behind its prefix
                    - 10.1.2.3/8
                      ^~~~~~~~~~
                    write 10.0.0.0/8 for the network, or 10.1.2.3 for the one address
                gateway.conf:5:5: error: "2001:db8::1/32" has bits set behind its prefix
                    - 2001:db8::1/32
                      ^~~~~~~~~~~~~~
                    write 2001:db8::/32 for the network, or 2001:db8::1 for the one address
                """),
        Mistake(
            "names to listen on",
            """
            \(minimal)listen: ["localhost:8080"]
            admin: {listen: "Admin.internal:9901"}
            """,
            says: """
                gateway.conf:3:10: error: "localhost" is a name, and sockets are bound to addresses
                    listen: ["localhost:8080"]
                             ^~~~~~~~~~~~~~~~
                    write 127.0.0.1:8080 for this host alone, 0.0.0.0:8080 for all IPv4 addresses
                gateway.conf:4:17: error: "admin.internal" is a name, and sockets are bound to addresses
                    admin: {listen: "Admin.internal:9901"}
                                    ^~~~~~~~~~~~~~~~~~~~~
                    write 127.0.0.1:9901 for this host alone, 0.0.0.0:9901 for all IPv4 addresses
                """),
        Mistake(
            "a network that is none",
            """
            \(minimal)never_block: [localhost, 10.0.0.0/33]
            """,
            says: """
                gateway.conf:3:15: error: "localhost" is not an address or network
                    never_block: [localhost, 10.0.0.0/33]
                                  ^~~~~~~~~
                    write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32
                gateway.conf:3:26: error: "10.0.0.0/33" has no valid prefix length
                    never_block: [localhost, 10.0.0.0/33]
                                             ^~~~~~~~~~~
                    from /0 to /32
                """),
        Mistake(
            "a method in lower case",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none, methods: [get, "P T"]}]
            """,
            says: """
                gateway.conf:2:57: error: the method "get" is not in upper case
                    routes: [{path: /, upstream: api, auth: none, methods: [get, "P T"]}]
                                                                            ^~~
                    did you mean "GET"?
                gateway.conf:2:62: error: "P T" is not a method
                    routes: [{path: /, upstream: api, auth: none, methods: [get, "P T"]}]
                                                                                 ^~~~~
                    write a list of methods, such as [GET, POST]
                """),
        Mistake(
            "paths that no request ever has",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: api, upstream: api, auth: none}
              - {path: //a, upstream: api, auth: none}
              - {path: /a/../b, upstream: api, auth: none}
              - {path: "/%61", upstream: api, auth: none}
              - {path: /a/, upstream: api, auth: none}
              - {path: "/a?b", upstream: api, auth: none}
            """,
            says: """
                gateway.conf:3:12: error: the path "api" does not begin with /
                    - {path: api, upstream: api, auth: none}
                             ^~~
                    write /api
                gateway.conf:4:12: error: the path "//a" contains an empty segment
                    - {path: //a, upstream: api, auth: none}
                             ^~~
                    requests are matched without //
                gateway.conf:5:12: error: the path "/a/../b" contains a . or .. segment
                    - {path: /a/../b, upstream: api, auth: none}
                             ^~~~~~~
                    requests are matched without them
                gateway.conf:6:12: error: the path "/%61" contains %
                    - {path: "/%61", upstream: api, auth: none}
                             ^~~~~~
                    requests are matched after decoding: write the character itself
                gateway.conf:7:12: error: a route's path does not end with /
                    - {path: /a/, upstream: api, auth: none}
                             ^~~
                    write /a: it matches whole segments, with and without a slash behind it
                gateway.conf:8:12: error: the path "/a?b" contains ?
                    - {path: "/a?b", upstream: api, auth: none}
                             ^~~~~~
                    write the path only, in its canonical form
                """),
        Mistake(
            "a login endpoint without a method",
            """
            \(minimal)login: {endpoints: [/auth/login]}
            """,
            says: """
                gateway.conf:3:21: error: "/auth/login" is not a method and a path
                    login: {endpoints: [/auth/login]}
                                        ^~~~~~~~~~~
                    write it as POST /auth/login
                """),
        Mistake(
            "a host with a port",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{host: "example.org:443", path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:2:17: error: "example.org:443" has a port or a scheme
                    routes: [{host: "example.org:443", path: /, upstream: api, auth: none}]
                                    ^~~~~~~~~~~~~~~~~
                    a route's host is the name alone
                """),
        Mistake(
            "an origin with a path",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none, cors: {origins: ["https://app.example.org/"]}}]
            """,
            says: """
                gateway.conf:2:64: error: "https://app.example.org/" is not an origin
                    routes: [{path: /, upstream: api, auth: none, cors: {origins: ["https://app.example.org/"]}}]
                                                                                   ^~~~~~~~~~~~~~~~~~~~~~~~~~
                    write it as browsers send it, such as https://app.example.org, without a path or a slash behind it
                """),
        Mistake(
            "a URL for Redis",
            """
            \(minimal)redis: {address: "redis://:hunter2@localhost:6379"}
            """,
            says: """
                gateway.conf:3:18: error: "redis.address" is not a URL
                    redis: {address: <redacted>}
                                     ^~~~~~~~~~
                    write host:port here, and a URL into "redis.url" or "redis.url_file"
                """),
        Mistake(
            "a URL for a server",
            """
            upstreams: {api: {servers: ["http://me:hunter2@localhost:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            variables: ["GATEWAY_HOST": "http://me:hunter2@0.0.0.0"],
            says: """
                gateway.conf:1:29: error: a URL is not accepted here
                    upstreams: {api: {servers: [<redacted>]}}
                                                ^~~~~~~~~~
                    write host:port, such as 127.0.0.1:8080 or [::1]:8080
                GATEWAY_HOST: error: a URL is not accepted here
                    write the host alone
                """),
        Mistake(
            "a log target that is a misspelt word",
            """
            \(minimal)logs: {access: sdtout}
            """,
            says: """
                gateway.conf:3:16: error: "sdtout" is neither off, stdout nor a path
                    logs: {access: sdtout}
                                   ^~~~~~
                    did you mean "stdout"?
                """),
        Mistake(
            "the name of an upstream in upper case",
            """
            upstreams: {API: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:1:13: error: "API" cannot be a name here
                    upstreams: {API: {servers: ["127.0.0.1:9000"]}}
                                ^~~
                    use lower case letters, digits, - and _
                """),
        Mistake(
            "an upgrade to a form of HTTP",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none, upgrades: [websocket, H2C, HTTP/2.0]}]
            """,
            says: """
                gateway.conf:2:69: error: "H2C" is no protocol that can be allowed
                    routes: [{path: /, upstream: api, auth: none, upgrades: [websocket, H2C, HTTP/2.0]}]
                                                                                        ^~~
                    use letters, digits and !#$%&'*+-.^_`|~, with /version or without, other than HTTP and h2c
                gateway.conf:2:74: error: "HTTP/2.0" is no protocol that can be allowed
                    routes: [{path: /, upstream: api, auth: none, upgrades: [websocket, H2C, HTTP/2.0]}]
                                                                                             ^~~~~~~~
                    use letters, digits and !#$%&'*+-.^_`|~, with /version or without, other than HTTP and h2c
                """),
    ]
}
