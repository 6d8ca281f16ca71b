import Testing

@testable import Ledger

@Suite struct `The prefix of keys` {
    private let shop = RedisKeyspace(prefix: "shop:")

    @Test func `stands before the key of each command`() {
        #expect(shop.command(["GET", "gateway:epoch"]) == ["GET", "shop:gateway:epoch"])
        #expect(shop.command(["SET", "ip_block:::1", "v", "NX"]) == ["SET", "shop:ip_block:::1", "v", "NX"])
        #expect(
            shop.command(["SCAN", "0", "MATCH", "revoked:*", "COUNT", "9"])
                == ["SCAN", "0", "MATCH", "shop:revoked:*", "COUNT", "9"])
        #expect(shop.command(["PING"]) == ["PING"] && shop.command(["ASKING"]) == ["ASKING"])
        #expect(shop.command(["CLUSTER", "SLOTS"]) == ["CLUSTER", "SLOTS"])
    }

    @Test func `stands in the hash tag, so that a script keeps to one slot`() {
        #expect(
            shop.command(["EVALSHA", "f00", "2", "login_fail:192.0.2.1", "login_seen:{login_fail:192.0.2.1}", "5"])
                == [
                    "EVALSHA", "f00", "2", "shop:login_fail:192.0.2.1",
                    "shop:login_seen:{shop:login_fail:192.0.2.1}", "5",
                ])
        #expect(shop.stored("login_pending:{login_fail:::1}") == "shop:login_pending:{shop:login_fail:::1}")
        #expect(shop.stored("gateway:said:{lockdown:/a}") == "shop:gateway:said:{shop:lockdown:/a}")
    }

    @Test func `does not touch braces in the names of tokens`() {
        #expect(shop.stored("revoked:sub:{a}") == "shop:revoked:sub:{a}")
    }

    @Test func `is taken off again, and keys of others are not ours`() {
        #expect(shop.name(Array("shop:ip_block:192.0.2.1".utf8)) == Array("ip_block:192.0.2.1".utf8))
        #expect(shop.name(Array("ip_block:192.0.2.1".utf8)) == nil)
        let reply = RESPValue.array([.bytes([0x30]), .array([.bytes(Array("shop:x".utf8)), .bytes(Array("y".utf8))])])
        #expect(shop.reply(reply, to: "SCAN") == .array([.bytes([0x30]), .array([.bytes(Array("x".utf8))])]))
    }

    @Test(arguments: [
        "login_fail:blocks:{ip_block:192.0.2.1}", "login_fail:blocks:{ip_block:2001:db8::/64}",
        "login_seen:{login_fail:::1}",
        "gateway:said:{lockdown:/{a}}", "login_fail:::1", "revoked:sub:{a}", "revoked:sub:{shop:a}", "ip_block:::1",
    ]) func `is taken off wherever it was put, so that what was found can be deleted`(name: String) {
        #expect(shop.name(Array(shop.stored(name).utf8)) == Array(name.utf8))
    }

    @Test func `changes nothing when there is none`() {
        let plain = RedisKeyspace(prefix: "")
        #expect(plain.stored("login_seen:{login_fail:::1}") == "login_seen:{login_fail:::1}")
        #expect(plain.name([0x61]) == [0x61])
    }
}

@Suite struct `The remedy for an error of Redis` {
    @Test func `never quotes what a server did not understand`() {
        let error = "ERR unknown command 'AUTH', with args beginning with: 'gateway' 'secret' "
        #expect(RedisRemedy.explain(error, command: ["AUTH"], user: nil) == "ERR unknown command 'AUTH'")
    }

    @Test(arguments: [
        (
            "NOPERM this user has no permissions to run the 'client|tracking' command", ["CLIENT|TRACKING"],
            "the user \"gateway\" may not run CLIENT TRACKING: ACL SETUSER gateway +client|tracking"
        ),
        (
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            ["PTTL", "shop:revoked:gateway-probe"],
            "the user \"gateway\" may not use PTTL on shop:revoked:*: ACL SETUSER gateway ~shop:revoked:*"
        ),
        (
            "NOPERM this user has no permissions to access one of the channels used as arguments",
            ["SUBSCRIBE", "__redis__:invalidate"],
            "the user \"gateway\" may not listen to __redis__:invalidate: ACL SETUSER gateway &__redis__:invalidate"
        ),
        ("OOM command not allowed", [], "raise maxmemory of Redis, or make room in it"),
        (
            "NOPERM this user has no permissions to run the 'cluster|slots' command", ["CLUSTER", "SLOTS"],
            "the user \"gateway\" may not run CLUSTER SLOTS: ACL SETUSER gateway +cluster|slots"
        ),
        (
            "MOVED 5 10.0.0.1:6379", [],
            "this is a node of a Redis Cluster: name its nodes in redis.cluster, in place of redis.address"
        ),
        (
            "ERR This instance has cluster support disabled", [],
            "this Redis is no cluster: name it in redis.address, in place of redis.cluster"
        ),
    ]) func `names what is missing`(error: String, command: [String], remedy: String) {
        #expect(RedisRemedy.explain(error, command: command, user: "gateway") == "\(error) — \(remedy)")
    }

    @Test func `is not invented`() {
        #expect(RedisRemedy.explain("ERR no such thing", user: nil) == "ERR no such thing")
    }
}
