import Testing

@testable import Settings

@Suite struct `A mistake in the form of the file` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "an unknown key at the top level",
            """
            \(minimal)timeout: 5s
            """,
            says: """
                gateway.conf:3:1: error: there is no setting "timeout"
                    timeout: 5s
                    ^~~~~~~
                    did you mean "timeouts"?
                """),
        Mistake(
            "an unknown key in a section",
            """
            \(minimal)login:
              limt: 5
            """,
            says: """
                gateway.conf:4:3: error: there is no setting "limt" in "login"
                    limt: 5
                    ^~~~
                    did you mean "limit"?
                """),
        Mistake(
            "an unknown key in a named entry",
            """
            upstreams:
              api:
                server: ["127.0.0.1:9000"]
                servers: ["127.0.0.1:9000"]
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:3:5: error: there is no setting "server" in "upstreams.api"
                    server: ["127.0.0.1:9000"]
                    ^~~~~~
                    did you mean "servers"?
                """),
        Mistake(
            "an unknown key in an item of a list",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - path: /
                upstraem: api
                upstream: api
                auth: none
            """,
            says: """
                gateway.conf:4:5: error: there is no setting "upstraem" in "routes[0]"
                    upstraem: api
                    ^~~~~~~~
                    did you mean "upstream"?
                """),
        Mistake(
            "a known key at the wrong level",
            """
            \(minimal)keep_alive: 5
            """,
            says: """
                gateway.conf:3:1: error: there is no setting "keep_alive"
                    keep_alive: 5
                    ^~~~~~~~~~
                    did you mean "upstreams.*.keep_alive"?
                """),
        Mistake(
            "a known key one level too high, of several",
            """
            \(minimal)login: {factor: 4}
            """,
            says: """
                gateway.conf:3:9: error: there is no setting "factor" in "login"
                    login: {factor: 4}
                            ^~~~~~
                    did you mean "login.escalation.factor"?
                """),
        Mistake(
            "a known key in an item of a list",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], statuses: [401]}]}
            """,
            says: """
                gateway.conf:3:51: error: there is no setting "statuses" in "login.rules[0]"
                    login: {rules: [{name: a, endpoints: ["POST /a"], statuses: [401]}]}
                                                                      ^~~~~~~~
                    did you mean "login.rules[].failure.statuses"?
                """),
        Mistake(
            "a key of many sections in none of them",
            """
            \(minimal)timeout: 5s
            """,
            says: """
                gateway.conf:3:1: error: there is no setting "timeout"
                    timeout: 5s
                    ^~~~~~~
                    did you mean "timeouts"?
                """),
        Mistake(
            "a key that is like no other",
            """
            \(minimal)forwarding: {zzz: 1}
            """,
            says: """
                gateway.conf:3:14: error: there is no setting "zzz" in "forwarding"
                    forwarding: {zzz: 1}
                                 ^~~
                    known here: via, forwarded, proxy_status
                """),
        Mistake(
            "a duplicate key",
            """
            \(minimal)workers: 2
            workers: 3
            """,
            says: """
                gateway.conf:4:1: error: the key "workers" stands twice, first on line 3
                    workers: 3
                    ^~~~~~~
                    keep one of them
                """),
        Mistake(
            "an anchor and its alias",
            """
            \(minimal)login: {window: &day 1d, block: *day}
            """,
            says: """
                gateway.conf:3:17: error: an anchor is not allowed
                    login: {window: &day 1d, block: *day}
                                    ^~~~~~~
                    write the value out where it is needed; a value that begins with & needs quotes
                gateway.conf:3:33: error: an alias is not allowed
                    login: {window: &day 1d, block: *day}
                                                    ^~~~
                    write the value out; a value that begins with * needs quotes
                """),
        Mistake(
            "a merge key",
            """
            \(minimal)login:
              <<: {limit: 3}
            """,
            says: """
                gateway.conf:4:3: error: the merge key "<<" is not allowed
                    <<: <redacted>
                    ^~
                    write the values out where they are needed
                """),
        Mistake(
            "a tag",
            """
            \(minimal)login: {limit: !!int 5}
            """,
            says: """
                gateway.conf:3:16: error: a tag is not allowed
                    login: {limit: !!int 5}
                                   ^~~~~~~
                    leave it out: the setting decides the type of its value
                """),
        Mistake(
            "a second document",
            """
            \(minimal)---
            workers: 2
            """,
            says: """
                gateway.conf:3:1: error: a second document begins here
                    ---
                    ^~~
                    gateway.conf is one document: remove the line
                """),
        Mistake(
            "a tab in the indentation",
            """
            \(minimal)login:
            \tlimit: 5
            """,
            says: """
                gateway.conf:4:1: error: a tab in the indentation
                     limit: 5
                    ^
                    YAML is indented with spaces
                """),
        Mistake(
            "a file that is no YAML",
            """
            \(minimal)login: {limit: 5
            workers: 2
            """,
            says: """
                gateway.conf:4:8: error: not YAML: did not find expected ',' or '}' (while parsing a flow mapping on line 3)
                    workers: 2
                           ^
                    a bracket is not closed, or a comma is missing
                """),
        Mistake(
            "a key that is not a word",
            """
            \(minimal)[a, b]: 5
            """,
            says: """
                gateway.conf:3:1: error: a key must be a single word
                    <redacted>: <redacted>
                    ^~~~~~~~~~
                    quote it if it begins with one of [ { * & !
                """),
        Mistake(
            "nesting without end",
            """
            a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]
            """,
            says: """
                gateway.conf:1:19: error: nested more than 16 levels deep
                """),
        Mistake(
            "a section that is a single value",
            """
            \(minimal)limits: 5
            """,
            says: """
                gateway.conf:3:9: error: "limits" holds settings of its own, but this is a single value
                    limits: 5
                            ^
                    write "key: value" lines below it, indented
                """),
        Mistake(
            "a list of sections that is a section",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              path: /
              upstream: api
            """,
            says: """
                gateway.conf:3:3: error: "routes" is a list, but this is a section with keys of its own
                    path: /
                    ^~~~~~~
                    begin each item with "- "
                """),
        Mistake(
            "a single value that is a list",
            """
            \(minimal)workers: [1, 2]
            """,
            says: """
                gateway.conf:3:10: error: "workers" is a single value, but this is a list
                    workers: [1, 2]
                             ^~~~~~
                    write: workers: 3
                """),
        Mistake(
            "a list that is a single value",
            """
            \(minimal)listen: "0.0.0.0:8080"
            """,
            says: """
                gateway.conf:3:9: error: "listen" is a list
                    listen: "0.0.0.0:8080"
                            ^~~~~~~~~~~~~~
                    put the value in brackets: [ … ]
                """),
        Mistake(
            "a section in a list of values",
            """
            \(minimal)never_block: [{a: b}]
            """,
            says: """
                gateway.conf:3:15: error: an item of "never_block" is a single value, but this is a section with keys of its own
                    never_block: [{a: b}]
                                  ^~~~~~
                """),
        Mistake(
            "a key without a value",
            """
            \(minimal)workers:
            """,
            says: """
                gateway.conf:3:9: error: "workers" has no value
                    workers:
                            ^
                    leave the key out for the default
                """),
        Mistake(
            "null",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: optional, cookie: null}]
            """,
            says: """
                gateway.conf:2:59: error: "routes[0].cookie" has no value
                    routes: [{path: /, upstream: api, auth: optional, cookie: null}]
                                                                              ^~~~
                    leave the key out for the default; quote the word if it is meant
                """),
    ]
}
