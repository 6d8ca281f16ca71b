import Testing

@testable import Settings

@Suite struct `A mistake in settings that do not fit together` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "limits that limit nothing, or too much",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            limits: {connections: 100, connections_per_address: 100, memory: 1MiB}
            """,
            says: """
                gateway.conf:3:53: warning: one address may have all 100 connections, so nothing is limited
                    limits: {connections: 100, connections_per_address: 100, memory: 1MiB}
                                                                        ^~~
                    set less than "limits.connections", or 0
                gateway.conf:3:66: error: the buffers of a few requests fill 1048576 bytes
                    limits: {connections: 100, connections_per_address: 100, memory: 1MiB}
                                                                                     ^~~~
                    set at least 16MiB, or 0 for half of what there is
                """),
        Mistake(
            "an empty file",
            "",
            says: """
                gateway.conf: error: no upstream is configured
                    for example upstreams: {api: {servers: ["127.0.0.1:9000"]}}
                gateway.conf: error: no route is configured, so every request would be answered with 404
                    for example routes: [{path: /, upstream: api}]
                """),
        Mistake(
            "a dangling upstream",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: apis, auth: none}]
            """,
            says: """
                gateway.conf:2:30: error: there is no upstream "apis"
                    routes: [{path: /, upstream: apis, auth: none}]
                                                 ^~~~
                    did you mean "api"?
                """),
        Mistake(
            "a route without path and upstream",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - auth: none
            """,
            says: """
                gateway.conf:3:5: error: "path" is missing in "routes[0]"
                    - auth: none
                      ^~~~~~~~~~
                    for example path: /orders
                gateway.conf:3:5: error: "upstream" is missing in "routes[0]"
                    - auth: none
                      ^~~~~~~~~~
                    for example upstream: example
                """),
        Mistake(
            "duplicate routes",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /a, upstream: api, auth: none, methods: [GET, POST]}
              - {path: /a, upstream: api, auth: none, methods: [POST, GET]}
            """,
            says: """
                gateway.conf:4:12: error: the route can never be reached: routes[0] has the same host, path and methods
                    - {path: /a, upstream: api, auth: none, methods: [POST, GET]}
                             ^~
                    remove one of them
                """),
        Mistake(
            "no routes",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: []
            """,
            says: """
                gateway.conf:2:1: error: no route is configured, so every request would be answered with 404
                    routes: []
                    ^~~~~~
                    for example routes: [{path: /, upstream: api}]
                """),
        Mistake(
            "no servers",
            """
            upstreams: {api: {servers: []}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:1:28: error: the upstream "api" has no servers
                    upstreams: {api: {servers: []}}
                                               ^~
                    for example servers: ["127.0.0.1:9000"]
                """),
        Mistake(
            "an upstream that nothing uses",
            """
            upstreams:
              api: {servers: ["127.0.0.1:9000"]}
              old: {servers: ["127.0.0.1:9001"]}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:3:3: warning: no route uses the upstream "old"
                    old: {servers: ["127.0.0.1:9001"]}
                    ^~~
                """),
        Mistake(
            "rules about a token that nobody looks at",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - path: /
                upstream: api
                auth: none
                roles: [admin]
                claims: {tier: gold}
                cookie: session
                strip_token: true
                token_query: t
                token_subprotocol: bearer
                expired_grace: 10s
            """,
            says: """
                gateway.conf:6:12: error: roles are asked for, but the route looks at no token
                    roles: [admin]
                           ^~~~~~~
                    set auth: required, or remove the rule
                gateway.conf:7:5: error: claims are asked for, but the route looks at no token
                    claims: {tier: gold}
                    ^~~~~~
                    set auth: required, or remove the rule
                gateway.conf:8:13: warning: the cookie is never read: the route looks at no token
                    cookie: session
                            ^~~~~~~
                    set auth: optional or auth: required
                gateway.conf:9:18: error: no token would be left out: the route looks at none
                    strip_token: true
                                 ^~~~
                    set auth: optional or auth: required, or remove the setting
                gateway.conf:10:18: error: the token would be forwarded unread: the route looks at none
                    token_query: t
                                 ^
                    set auth: optional or auth: required, or remove the setting
                gateway.conf:11:24: error: the token would be forwarded unread: the route looks at none
                    token_subprotocol: bearer
                                       ^~~~~~
                    set auth: optional or auth: required, or remove the setting
                gateway.conf:12:20: error: expired tokens would be let in, but the route looks at no token
                    expired_grace: 10s
                                   ^~~
                    set auth: optional or auth: required, or remove the setting
                """),
        Mistake(
            "a subprotocol with a token, and no WebSocket",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /, upstream: api, auth: optional, token_subprotocol: bearer, upgrades: [mqtt]}
              - {path: /a, upstream: api, auth: optional, token_query: "a&b", token_subprotocol: "a b"}
              - {path: /b, upstream: api, auth: optional, token_subprotocol: bearer, upgrades: [WebSocket]}
            """,
            says: """
                gateway.conf:3:65: error: the subprotocol is never read: the route allows no WebSocket
                    - {path: /, upstream: api, auth: optional, token_subprotocol: bearer, upgrades: [mqtt]}
                                                                                  ^~~~~~
                    add websocket to "upgrades", or remove the setting
                gateway.conf:4:60: error: "a&b" has characters that are not allowed here
                    - {path: /a, upstream: api, auth: optional, token_query: "a&b", token_subprotocol: "a b"}
                                                                             ^~~~~
                    use letters, digits and -._~
                gateway.conf:4:86: error: "a b" has characters that are not allowed here
                    - {path: /a, upstream: api, auth: optional, token_query: "a&b", token_subprotocol: "a b"}
                                                                                                       ^~~~~
                    use letters, digits and !#$%&'*+-.^_`|~
                """),
        Mistake(
            "break-glass where there is nothing to open, or for any page",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /, host: a.example, upstream: api, auth: optional, break_glass: 10m}
              - {path: /a, upstream: api, auth: required, break_glass: 10m}
              - {path: /b, host: a.example, upstream: api, auth: required, break_glass: 2h}
              - {path: /c, host: a.example, upstream: api, auth: none, break_glass: 10m}
              - {path: /d, host: a.example, upstream: api, break_glass: 10m}
            """,
            says: """
                gateway.conf: warning: every request to routes "/a", "/b", "/d" will be refused with 401: there is no token key
                    set "tokens.keys", or JWT_SECRET in the environment (openssl rand -hex 32 makes one)
                gateway.conf:3:76: error: there is nothing to open: the route demands no token
                    - {path: /, host: a.example, upstream: api, auth: optional, break_glass: 10m}
                                                                                             ^~~
                    set auth: required, or remove the setting
                gateway.conf:4:60: error: any page of the web could use the route from a browser within the network, under any name
                    - {path: /a, upstream: api, auth: required, break_glass: 10m}
                                                                             ^~~
                    set "host" of the route
                gateway.conf:5:77: error: 2h is out of range
                    - {path: /b, host: a.example, upstream: api, auth: required, break_glass: 2h}
                                                                                              ^~
                    from 1s to 1h; who must be let in for longer needs keys that work; it can be ordered again when it is over
                gateway.conf:6:73: error: there is nothing to open: the route demands no token
                    - {path: /c, host: a.example, upstream: api, auth: none, break_glass: 10m}
                                                                                          ^~~
                    set auth: required, or remove the setting
                """),
        Mistake(
            "a grace that is too long",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /, upstream: api, auth: optional, expired_grace: 301s}
              - {path: /a, upstream: api, auth: optional, expired_grace: 0s}
              - {path: /b, upstream: api, auth: optional, expired_grace: 5m}
            """,
            says: """
                gateway.conf:3:61: error: 301s is out of range
                    - {path: /, upstream: api, auth: optional, expired_grace: 301s}
                                                                              ^~~~
                    from 1s to 5m; a stolen token would be good for as long; who must be let in later needs tokens that last longer
                gateway.conf:4:62: error: 0s is out of range
                    - {path: /a, upstream: api, auth: optional, expired_grace: 0s}
                                                                               ^~
                    from 1s to 5m; a stolen token would be good for as long; who must be let in later needs tokens that last longer
                """),
        Mistake(
            "an admin listener for everyone",
            """
            \(minimal)admin: {listen: "0.0.0.0:9901"}
            """,
            says: """
                gateway.conf:3:17: error: the admin listener can be reached from other machines and has no token
                    admin: {listen: "0.0.0.0:9901"}
                                    ^~~~~~~~~~~~~~
                    set "admin.token_file", or listen on 127.0.0.1
                """),
        Mistake(
            "one address for clients and operators",
            """
            \(minimal)listen: ["0.0.0.0:9901"]
            """,
            says: """
                gateway.conf:3:10: error: clients and operators cannot share port 9901 of one address
                    listen: ["0.0.0.0:9901"]
                             ^~~~~~~~~~~~~~
                    give "admin.listen" another port
                """),
        Mistake(
            "addresses that are within others",
            """
            \(minimal)listen: ["0.0.0.0:80", "127.0.0.1:80", "[::1]:81", "[::]:81", "[::]:80", "[::2]:8", "[::2]:8"]
            """,
            says: """
                gateway.conf:3:24: error: 0.0.0.0:80 and 127.0.0.1:80 overlap
                    listen: ["0.0.0.0:80", "127.0.0.1:80", "[::1]:81", "[::]:81", "[::]:80", "[::2]:8", "[::2]:8"]
                                           ^~~~~~~~~~~~~~
                    remove one: 0.0.0.0 stands for every IPv4 address of this host
                gateway.conf:3:52: error: [::1]:81 and [::]:81 overlap
                    listen: ["0.0.0.0:80", "127.0.0.1:80", "[::1]:81", "[::]:81", "[::]:80", "[::2]:8", "[::2]:8"]
                                                                       ^~~~~~~~~
                    remove one: [::] stands for every IPv6 address of this host
                gateway.conf:3:85: error: the address [::2]:8 stands twice
                    listen: ["0.0.0.0:80", "127.0.0.1:80", "[::1]:81", "[::]:81", "[::]:80", "[::2]:8", "[::2]:8"]
                                                                                                        ^~~~~~~~~
                    remove one
                """),
        Mistake(
            "the same of those with TLS",
            """
            \(minimal)tls:
              certificate_file: /tls/chain.pem
              key_file: /tls/key.pem
              listen: ["127.0.0.1:443", "0.0.0.0:443", "[::1]:444", "[0::1]:444", "127.0.0.1:9901"]
            """,
            files: ["/tls/chain.pem": file("", mode: 0o644), "/tls/key.pem": file("", mode: 0o600)],
            says: """
                gateway.conf:6:29: error: 127.0.0.1:443 and 0.0.0.0:443 overlap
                    listen: ["127.0.0.1:443", "0.0.0.0:443", "[::1]:444", "[0::1]:444", "127.0.0.1:9901"]
                                              ^~~~~~~~~~~~~
                    remove one: 0.0.0.0 stands for every IPv4 address of this host
                gateway.conf:6:57: error: the address [0::1]:444 stands twice
                    listen: ["127.0.0.1:443", "0.0.0.0:443", "[::1]:444", "[0::1]:444", "127.0.0.1:9901"]
                                                                          ^~~~~~~~~~~~
                    remove one
                gateway.conf:6:71: error: clients and operators cannot share port 9901 of one address
                    listen: ["127.0.0.1:443", "0.0.0.0:443", "[::1]:444", "[0::1]:444", "127.0.0.1:9901"]
                                                                                        ^~~~~~~~~~~~~~~~
                    give "admin.listen" another port
                """),
        Mistake(
            "trust in everyone",
            """
            \(minimal)trusted_proxies: [0.0.0.0/0]
            never_block: ["::/0"]
            """,
            says: """
                gateway.conf:3:19: warning: everyone is trusted as a proxy, so every client chooses its own address
                    trusted_proxies: [0.0.0.0/0]
                                      ^~~~~~~~~
                    name the networks of your proxies
                gateway.conf:4:15: warning: nobody is ever blocked
                    never_block: ["::/0"]
                                  ^~~~~~
                    name the addresses that are meant
                """),
        Mistake(
            "identity headers that collide",
            """
            \(minimal)identity: {headers: {X-User-ID: sub, X_User_Id: email, Host: sub, X-Token-Expired: a}}
            """,
            says: """
                gateway.conf:3:38: error: backends cannot tell the header "X_User_Id" from another one in the list
                    identity: {headers: {X-User-ID: sub, X_User_Id: email, Host: sub, X-Token-Expired: a}}
                                                         ^~~~~~~~~
                gateway.conf:3:56: error: the header "Host" belongs to HTTP or to the gateway itself
                    identity: {headers: {X-User-ID: sub, X_User_Id: email, Host: sub, X-Token-Expired: a}}
                                                                           ^~~~
                    choose an X- name
                gateway.conf:3:67: error: the header "X-Token-Expired" belongs to HTTP or to the gateway itself
                    identity: {headers: {X-User-ID: sub, X_User_Id: email, Host: sub, X-Token-Expired: a}}
                                                                                      ^~~~~~~~~~~~~~~
                    choose an X- name
                """),
        Mistake(
            "identity headers that CGI cannot tell apart",
            """
            \(minimal)identity: {headers: {X-User-ID: sub, X.User+Id: email, X.Break.Glass: a}}
            """,
            says: """
                gateway.conf:3:38: error: backends cannot tell the header "X.User+Id" from another one in the list
                    identity: {headers: {X-User-ID: sub, X.User+Id: email, X.Break.Glass: a}}
                                                         ^~~~~~~~~
                gateway.conf:3:56: error: the header "X.Break.Glass" belongs to HTTP or to the gateway itself
                    identity: {headers: {X-User-ID: sub, X.User+Id: email, X.Break.Glass: a}}
                                                                           ^~~~~~~~~~~~~
                    choose an X- name
                """),
    ]
}
