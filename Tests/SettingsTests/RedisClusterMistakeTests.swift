import Testing

@testable import Settings

/// About where Redis is.
@Suite struct `A mistake about a Redis Cluster` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by its nodes in the file or in a variable, and the nodes are kept in their order`() throws {
        let nodes = ["10.0.0.1:6379", "[2001:db8::1]:7000"]
        for result in [
            load(minimal + "redis: {cluster: [\"10.0.0.1:6379\", \"[2001:db8::1]:7000\"], database: 0}"),
            load(minimal, ["GATEWAY_REDIS__CLUSTER": nodes.joined(separator: ",")]),
            // A variable goes before the file.
            load(
                minimal + "redis: {address: \"10.0.0.9:6379\"}",
                ["GATEWAY_REDIS__CLUSTER": nodes.joined(separator: ",")]),
        ] {
            #expect(result.diagnostics.map(\.description) == [])
            let found = try #require(result.configuration?.redis?.cluster)
            #expect(found.map(\.host) == ["10.0.0.1", "2001:db8::1"] && found.map(\.port) == [6_379, 7_000])
        }
    }

    @Test func `is not made by a variable in front of a URL in the file, whose database is not meant`() throws {
        let result = load(
            minimal + "redis: {url: \"redis://10.0.0.9:6379/3\"}", ["GATEWAY_REDIS__CLUSTER": "10.0.0.1:6379"])
        #expect(result.diagnostics.map(\.description) == [])
        let redis = try #require(result.configuration?.redis)
        #expect(redis.database == 0 && redis.cluster.count == 1)
    }

    @Test func `is not made by sentinels in variables alone`() throws {
        let result = load(
            minimal, ["GATEWAY_REDIS__SENTINELS": "10.0.0.9:26379", "GATEWAY_REDIS__SENTINEL_MASTER": "main"])
        #expect(result.diagnostics.map(\.description) == [])
        #expect(try #require(result.configuration?.redis?.sentinels).master == "main")
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "a cluster and a server",
            """
            \(minimal)redis:
              cluster: ["10.0.0.1:6379"]
              address: "10.0.0.9:6379"
            """,
            says: """
                gateway.conf:5:12: error: "redis.address" names the server, and "redis.cluster" finds its masters
                    address: "10.0.0.9:6379"
                             ^~~~~~~~~~~~~~~
                    keep one of them
                """),
        Mistake(
            "a cluster and sentinels",
            """
            \(minimal)redis:
              cluster: ["10.0.0.1:6379"]
              sentinels: ["10.0.0.9:26379"]
              sentinel_master: main
            """,
            says: """
                gateway.conf:5:14: error: "redis.sentinels" names the server, and "redis.cluster" finds its masters
                    sentinels: ["10.0.0.9:26379"]
                               ^~~~~~~~~~~~~~~~~~
                    keep one of them
                """),
        Mistake(
            "a node at a Unix socket, and another database",
            """
            \(minimal)redis:
              cluster: ["10.0.0.1:6379", "unix:/run/redis.sock"]
              database: 3
            """,
            says: """
                gateway.conf:4:30: error: a node of a cluster is not at a Unix socket
                    cluster: ["10.0.0.1:6379", "unix:/run/redis.sock"]
                                               ^~~~~~~~~~~~~~~~~~~~~~
                    write host:6379
                gateway.conf:5:13: error: a Redis Cluster has no database 3, only 0
                    database: 3
                              ^
                    remove "redis.database"; "redis.key_prefix" keeps gateways apart
                """),
    ]
}
