import GatewayCore
import Testing
import Wire

@testable import gateway

@Suite struct `What people read` {
    private func document(_ text: String) throws -> JSONValue { try JSONValue.read(Array(text.utf8)) }

    @Test func `is aligned by the widest of each column`() {
        var table = TextTable("A", "LONGER", "C")
        table.append("1234", "x", "")
        table.append("1", "ö", "z")
        #expect(table.text == "A     LONGER  C\n1234  x\n1     ö       z\n")
    }

    @Test(arguments: [
        (0, "0s"), (7, "7s"), (60, "1m"), (252, "4m 12s"), (3_600, "1h"), (3_605, "1h"), (90_000, "1d 1h"),
        (86_400, "1d"), (86_460, "1d"), (-3, "0s"),
    ])
    func `has a length of time in its two largest units`(seconds: Int, text: String) {
        #expect(relativeTime(seconds) == text)
    }

    @Test func `has times to the second`() {
        #expect(shortTime("2026-11-21T07:09:16.123Z") == "2026-11-21 07:09:16Z")
    }

    @Test func `says when a new key signs and what becomes of the one before`() throws {
        let answer = try document(
            #"""
            {"rotated":true,"kid":"new","algorithm":"ES256","signs_at":"2026-11-21T07:09:16.123Z",
             "previous":{"kid":"old","published_until":"2026-11-21T07:20:16.123Z"}}
            """#)
        #expect(
            OperatorReports.rotated(answer) == "ES256 key new is published and signs from 2026-11-21 07:09:16Z; "
                + "the one before, old, is published until 2026-11-21 07:20:16Z\n")
        let compromised = try document(
            #"""
            {"rotated":true,"kid":"new","algorithm":"EdDSA","signs_at":"2026-11-21T07:09:16.123Z",
             "previous":{"kid":"old","published_until":null}}
            """#)
        #expect(
            OperatorReports.rotated(compromised) == "EdDSA key new is published and signs from 2026-11-21 07:09:16Z; "
                + "the one before, old, is withdrawn\n")
    }

    @Test func `lists blocks`() throws {
        let answer = try document(
            #"""
            {"count":3,"truncated":true,"blocks":[
              {"network":"192.0.2.1","reason":"failed_logins","actor":"gateway","origin":"automatic","failures":5,
               "since":"2026-11-21T07:52:02.000Z","ttl_seconds":252,"permanent":false},
              {"network":"2001:db8::/32","reason":"a\nb\u001b[31m","actor":"redis","origin":"by_hand","failures":null,
               "since":"2026-11-21T07:50:00.000Z","ttl_seconds":null,"permanent":true}]}
            """#)
        #expect(
            OperatorReports.blocks(answer) == """
                NETWORK        EXPIRES IN  SINCE                 ACTOR    REASON
                192.0.2.1      4m 12s      2026-11-21 07:52:02Z  gateway  failed_logins (5)
                2001:db8::/32  never       2026-11-21 07:50:00Z  redis    a\u{fffd}b\u{fffd}[31m
                and 1 more; --limit shows up to 10000

                """)
        #expect(OperatorReports.blocks(["count": 0, "blocks": []]) == "no address is blocked\n")
    }

    @Test func `says how long a block lasts`() throws {
        let block: JSONValue = [
            "network": "192.0.2.1", "ttl_seconds": 300, "expires_at": "2026-11-21T08:00:00.500Z",
        ]
        #expect(
            OperatorReports.blocked(["block": block, "decided_by": "authority"])
                == "192.0.2.1 is blocked for 5m, until 2026-11-21 08:00:00Z\n")
        #expect(
            OperatorReports.blocked([
                "block": ["network": "192.0.2.1", "ttl_seconds": .null], "spared": [], "decided_by": "local",
            ])
                == "192.0.2.1 is blocked for ever, until somebody unblocks it\n"
                + "(Redis is away: other replicas follow when it is back)\n")
    }

    @Test func `says whom a block spares`() {
        #expect(
            OperatorReports.blocked([
                "block": ["network": "10.0.0.0/8", "ttl_seconds": .null], "spared": ["10.0.0.1"],
                "decided_by": "authority",
            ]) == "10.0.0.0/8 is blocked for ever, until somebody unblocks it\n(never blocked all the same: 10.0.0.1)\n"
        )
    }

    @Test func `says what an unblock came to`() throws {
        let address = try #require(IPNetwork("192.0.2.1"))
        let network = try #require(IPNetwork("192.0.2.0/24"))
        let lifted: JSONValue = ["lifted": [["network": "x"]], "still_blocked_by": [], "decided_by": "authority"]
        let nothing: JSONValue = ["lifted": [], "still_blocked_by": [], "decided_by": "authority"]
        let wider: JSONValue = ["lifted": [], "still_blocked_by": ["192.0.2.0/24"], "decided_by": "authority"]
        #expect(
            OperatorReports.unblocked(address, lifted)
                == "192.0.2.1 is no longer blocked; its failed logins are forgotten\n")
        #expect(OperatorReports.unblocked(network, lifted) == "192.0.2.0/24 is no longer blocked\n")
        #expect(
            OperatorReports.unblocked(address, nothing)
                == "192.0.2.1 was not blocked; its failed logins are forgotten\n")
        let prefixed: JSONValue = [
            "lifted": [], "still_blocked_by": [], "counted_for": "2001:db8::/64", "decided_by": "authority",
        ]
        #expect(
            OperatorReports.unblocked(IPNetwork("2001:db8::1")!, prefixed)
                == "2001:db8::1 was not blocked; its failed logins are counted for 2001:db8::/64: "
                + "unblock that to forget them\n")
        #expect(
            OperatorReports.unblocked(address, wider)
                == "192.0.2.1 has no block of its own, but it is within 192.0.2.0/24, which is blocked; "
                + "its failed logins are forgotten\n")
    }

    @Test func `shows the status as a table`() throws {
        let answer = try document(
            #"""
            {"status":"degraded","service":"gateway","version":"0.1.0","uptime_seconds":11520,
             "ledger":{"state":"degraded","ready":true,"reason":"refused","since":"2026-11-21T07:52:02.111Z"},
             "cache":{"status":"degraded","kind":"redis","address":"10.0.0.9:6379","database":0},
             "blocks":{"in_force":3},"workers":2,"connections":{"open":12,"limit":10000},
             "buffers":{"held":3145728,"limit":1073741824},"pressure":["memory"],
             "alarms":[{"name":"one_address","kind":"unnamed_proxy","address":"172.18.0.1",
               "setting":"trusted_proxies: [172.18.0.1]"}],
             "listeners":["0.0.0.0:8080"],"admin_listener":null,"admin_socket":"/run/gateway/admin.sock",
             "configuration":{"path":"gateway.conf","generation":2,"loaded_at":"2026-11-21T07:00:00.000Z"},
             "log_level":"info","upstreams":[
              {"name":"api","servers":["api:9000"],"circuit":"closed","states":[
                {"address":"10.0.0.1:9000","state":"up"},
                {"address":"10.0.0.2:9000","state":"ejected","reason":"connection_lost","back_in_seconds":7}]},
              {"name":"dead","servers":["10.0.0.3:80"],"circuit":"half_open","states":[
                {"address":"10.0.0.3:80","state":"down","reason":"status 503"}]},
              {"name":"gone","servers":["10.0.0.4:80"],"circuit":"open","retry_after_seconds":70,"states":[
                {"address":"10.0.0.4:80","state":"up"}]},
              {"name":"other","servers":["nowhere:80"],"addresses":[]}]}
            """#)
        #expect(
            OperatorReports.status(answer) == """
                gateway 0.1.0   degraded, up 3h 12m
                ledger          degraded, redis 10.0.0.9:6379: refused since 2026-11-21 07:52:02Z
                blocks          3 in force
                connections     12 of at most 10000
                buffers         3 MiB of at most 1024 MiB
                pressure        memory
                ALARM           nearly all requests come from 172.18.0.1; trusted_proxies: [172.18.0.1]
                workers         2
                listening on    0.0.0.0:8080
                admin           /run/gateway/admin.sock
                configuration   gateway.conf, generation 2, loaded 2026-11-21 07:00:00Z
                log level       info
                upstream api    10.0.0.1:9000, 10.0.0.2:9000 (ejected: connection_lost, back in 7s)
                upstream dead   10.0.0.3:80 (down: status 503); circuit half open
                upstream gone   10.0.0.4:80; circuit open, tried in 1m 10s
                upstream other  nowhere:80 (no address is known)

                """)
    }

    @Test func `shows what is known of Redis, as far as it is`() throws {
        let known = try document(
            #"""
            {"ledger":{"state":"connected"},"cache":{"address":"10.0.0.9:6379","keys":1000001,"memory_bytes":104857600,
             "memory_peak_bytes":209715200,"round_trip_us":1250,"commands":7,"command_errors":1}}
            """#)
        #expect(
            OperatorReports.status(known).contains(
                "\nredis          1000001 keys, 100 MiB (peak 200 MiB), answers in 1.2 ms, 7 commands, 1 error\n"))
        let little = try document(
            #"{"ledger":{"state":"connected"},"cache":{"address":"10.0.0.9:6379","commands":1,"command_errors":0}}"#)
        #expect(OperatorReports.status(little).contains("\nredis          1 command, no errors\n"))
    }

    @Test func `shows addresses that many people speak through`() throws {
        let answer = try document(
            #"{"allowances":[],"shared_addresses":["203.0.113.7","2001:db8::/64"],"lockdowns":[]}"#)
        #expect(
            OperatorReports.status(answer).contains(
                """

                shared 203.0.113.7    many people speak through it: it may have more failed logins
                shared 2001:db8::/64  many people speak through it: it may have more failed logins

                """))
    }

    @Test func `shows the log levels that somebody has set`() throws {
        let answer = try document(
            #"""
            {"configuration":{"loaded_at":"2026-11-21T07:00:00.000Z"},"log_level":"debug","log_levels":[
              {"scope":null,"level":"debug","ttl_seconds":60,"expires_at":"2026-11-21T08:00:00.123Z"},
              {"scope":"ledger","level":"error","ttl_seconds":null,"expires_at":null}]}
            """#)
        #expect(
            OperatorReports.status(answer).contains(
                "\nlog level         debug for 1m, until 2026-11-21 08:00:00Z\n"
                    + "log level ledger  error until the next reload\n"))
    }

    @Test func `shows the findings of a refused reload`() {
        let diagnostic: JSONValue = ["text": "gateway.conf:7:1: error: there is no setting \"routs\"\n    routs: []"]
        #expect(
            OperatorReports.problem([
                "title": "The new configuration has mistakes", "detail": "the old one stays in force",
                "code": "CONF_001", "diagnostics": [diagnostic],
            ]) == """
                gateway.conf:7:1: error: there is no setting "routs"
                    routs: []
                The new configuration has mistakes: the old one stays in force (CONF_001)
                """)
    }
}
