import Testing

@testable import Settings

@Suite struct `The URL of Redis` {
    private func url(_ text: String) throws -> RedisURL { try RedisURL(Secret(text)) }

    @Test func `holds everything in one word`() throws {
        let url = try url("rediss://gateway:p%40ss%3A%25@redis.internal:6380/3")
        #expect(url.location == .tcp(.init(host: "redis.internal", port: 6_380)))
        #expect(url.isSecure && url.username == "gateway" && url.database == 3)
        #expect(url.password?.revealed == Array("p@ss:%".utf8))
    }

    @Test func `needs no more than a host`() throws {
        let plain = try url("redis://[2001:db8::1]")
        #expect(plain.location == .tcp(.init(host: "2001:db8::1", port: 6_379)))
        #expect(!plain.isSecure && plain.username == nil && plain.password == nil && plain.database == nil)
        #expect(try url("redis://:word@redis/").password?.revealed == Array("word".utf8))
        let socket = try url("unix:///run/redis.sock?db=2")
        #expect(socket.location == .unix(path: "/run/redis.sock") && socket.database == 2)
    }

    @Test(arguments: [
        "http://redis", "redis://", "redis://user@redis", "redis://redis:0", "redis://redis/three", "redis://a b",
        "redis://:50%@redis", "redis://:%00@redis", "redis://redis?db=3", "unix://run/redis.sock", "unix:///a?x=1",
    ]) func `is refused without being quoted`(text: String) {
        #expect { try url(text) } throws: { error in
            !((error as? Complaint)?.message.contains(text) ?? true)
        }
    }
}
