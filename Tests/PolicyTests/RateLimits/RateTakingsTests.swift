import Settings
import Testing
import Wire

@testable import Policy

private let now = House.now
private let limit = RateLimit(Rate(count: 60, per: .min), burst: 2)

private func rule(_ kind: RateRule.Kind = .perAddress, of route: String = "") -> RateRule {
    RateRule(kind, limit, of: route, isShared: true)
}

private func address(_ text: String) -> IPAddress { IPAddress(text)! }

@Suite struct `What a worker notes of shared rate limits` {
    private final class Calls { var count = 0 }

    private let calls = Calls()
    private let takings: RateTakings

    init() { takings = RateTakings { [calls] in calls.count += 1 } }

    @Test func `is summed up by bucket, since the first request, and told once`() {
        let rule = rule()
        let (a, b) = (address("192.0.2.1"), address("192.0.2.2"))
        takings.note(rule, key: 1, of: .address(a), at: now)
        takings.note(rule, key: 1 + 8_192, of: .address(b), at: now + .seconds(1))
        takings.note(rule, key: 1, of: .address(a), at: now + .seconds(2))
        #expect(calls.count == 1)
        let batch = takings.takeAll()
        #expect(batch.takings.map(\.key) == [1, 8_193] && batch.takings.map(\.requests) == [2, 1])
        #expect(batch.takings.map(\.owner) == [.address(a), .address(b)])
        #expect(batch.takings.map(\.since) == [now, now + .seconds(1)])
        #expect(takings.takeAll().takings.isEmpty)
        takings.note(rule, key: 1, of: .address(a), at: now)
        #expect(calls.count == 2 && takings.takeAll().takings.map(\.requests) == [1])
    }

    @Test func `goes by the rule that was in force last, and costs what it cost when it passed`() {
        let former = rule()
        let present = RateRule(.perAddress, RateLimit(Rate(count: 2, per: .min), burst: 2), isShared: true)
        for _ in 0..<3 { takings.note(former, key: 1, of: .everybody, at: now) }
        takings.note(present, key: 1, of: .everybody, at: now)
        let taking = takings.takeAll().takings.first
        #expect(taking?.rule === present && taking?.requests == 4)
        #expect(taking?.worth == 33_000_000_000, "three of a second, one of thirty")
    }

    @Test func `of several workers is one sum, since the first of them`() throws {
        let rule = rule()
        takings.note(rule, key: 1, of: .everybody, at: now + .seconds(1))
        var sum = try #require(takings.takeAll().takings.first)
        takings.note(rule, key: 1, of: .everybody, at: now)
        sum.add(try #require(takings.takeAll().takings.first))
        #expect(sum.requests == 2 && sum.since == now && sum.worth == 2_000_000_000)
    }

    @Test func `keeps places for whole routes that no crowd takes`() {
        let rule = rule()
        for key in 0..<RateTakings.capacity {
            takings.note(rule, key: key, of: .address(IPAddress(v4: UInt32(key))), at: now)
        }
        takings.note(rule, key: -1, of: .everybody, at: now)
        let batch = takings.takeAll()
        #expect(batch.untold == RateTakings.keptForRoutes && batch.takings.last?.owner == .everybody)
    }

    @Test func `is bounded, and what finds no place is counted`() {
        let rule = rule()
        // All of them look for the same place first.
        for key in 0..<RateTakings.capacity + 10 {
            takings.note(rule, key: key * 8_192, of: .everybody, at: now)
            takings.note(rule, key: key * 8_192, of: .everybody, at: now)
        }
        let batch = takings.takeAll()
        #expect(batch.takings.count == RateTakings.capacity && batch.untold == 20)
        #expect(batch.takings.allSatisfy { $0.requests == 2 })
        #expect(takings.takeAll().untold == 0)
    }
}

@Suite struct `The name of a shared bucket` {
    @Test(arguments: [
        ("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:7::1", "2001:db8:0:7::/64"), ("2001:db8:0:7:8000::2", "2001:db8:0:7::/64"), ("::1", "::1"),
    ])
    func `has the address as it is counted`(written: String, name: String) {
        #expect(SharedBucketName.of(rule(), .address(address(written))) == "rate:per_address@" + name)
    }

    /// SHA-256 of `alice`, by sha256sum: 2bd806c97f0e00af1a1fc3328fa763a9…
    @Test func `has no subject in it`() {
        #expect(
            SharedBucketName.of(rule(.perIdentity), .subject(Array("alice".utf8)))
                == "rate:per_identity@2bd806c97f0e00af1a1fc3328fa763a9")
    }

    @Test func `tells limits from each other`() {
        let home = RateTakings.Owner.address(address("192.0.2.1"))
        #expect(SharedBucketName.of(rule(.route, of: "/search"), .everybody) == "rate:route:/search@all")
        #expect(SharedBucketName.of(rule(.routeAddress, of: "/search"), home) == "rate:route_address:/search@192.0.2.1")
        #expect(SharedBucketName.of(rule(.routeIdentity, of: "/a@b"), home) == "rate:route_identity:/a@b@192.0.2.1")
    }
}

@Suite struct `The gatekeeper, about shared rate limits` {
    private func gatekeeper(_ change: (inout Configuration) -> Void) -> (Gatekeeper, RateTakings) {
        var configuration = House.configuration()
        configuration.rateLimits.isShared = true
        change(&configuration)
        let gatekeeper = House.gatekeeper(configuration)
        let takings = RateTakings {}
        gatekeeper.rateMeter = DictionaryMeter()
        gatekeeper.rateTakings = takings
        return (gatekeeper, takings)
    }

    private func ask(_ gatekeeper: Gatekeeper, _ path: String = "/", token: String? = nil) -> Verdict {
        let bearer = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        var facts = RequestFacts(client: House.client)
        return gatekeeper.decide(
            Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\(bearer)\r\n".utf8).span, peer: address("203.0.113.9"), now: now,
            wall: Mint.now, facts: &facts)
    }

    @Test func `notes what was taken and not what was refused`() {
        let (gatekeeper, takings) = gatekeeper {
            $0.rateLimits.perAddress = limit
            $0.rateLimits.perIdentity = RateLimit(Rate(count: 60, per: .min), burst: 1)
        }
        for _ in 0..<4 { _ = ask(gatekeeper, "/private", token: House.token()) }
        let batch = takings.takeAll()
        #expect(batch.takings.map(\.rule.kind) == [.perAddress, .perIdentity])
        #expect(batch.takings.map(\.requests) == [2, 1])
        #expect(batch.takings.first?.owner == .address(address("203.0.113.9")))
        if case .subject? = batch.takings.last?.owner {} else { Issue.record("of nobody") }
    }

    @Test func `notes a whole route under one bucket`() {
        let (gatekeeper, takings) = gatekeeper {
            $0.routes = House.routes.map { route in
                var route = route
                if route.path == "/" { route.rateLimit = .init(per: .route, limit) }
                return route
            }
        }
        for _ in 0..<3 { _ = ask(gatekeeper) }
        let batch = takings.takeAll()
        #expect(batch.takings.map(\.owner) == [.everybody] && batch.takings.map(\.requests) == [2])
    }
}
