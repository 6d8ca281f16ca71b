import Settings
import Testing
import Wire

@testable import Policy

@Suite struct `A hash ring` {
    private let names = (1...5).map { "10.0.0.\($0):9000" }
    private let keys = (0..<10_000).map { StableHash.of(IPAddress(v4: 0x0a01_0000 + UInt32($0))) }

    private func owners(_ names: [String]) -> [String] {
        let ring = HashRing(names)
        return keys.map { names[ring.owner(of: $0)!] }
    }

    @Test func `gives each server its share, within a fifth`() {
        for name in names {
            let count = owners(names).count { $0 == name }
            #expect((1_600...2_400).contains(count), "\(name): \(count) of 10,000")
        }
    }

    /// Not one key moves that did not belong to the server that went; those that did are spread over all others.
    @Test func `loses only the keys of a server that goes`() {
        let before = owners(names)
        let after = owners(names.filter { $0 != names[2] })
        for (old, new) in zip(before, after) where old != names[2] { #expect(old == new) }
        let moved = zip(before, after).filter { $0 != $1 }
        #expect((1_600...2_400).contains(moved.count))
        for name in names where name != names[2] {
            let count = moved.count { $0.1 == name }
            #expect(count > moved.count / 8, "\(name) takes \(count) of \(moved.count)")
        }
    }

    @Test func `gives a server that comes its share of everybody's keys, and moves no other`() {
        let before = owners(names)
        let after = owners(names + ["10.0.0.6:9000"])
        let moved = zip(before, after).filter { $0 != $1 }
        #expect(moved.allSatisfy { $0.1 == "10.0.0.6:9000" })
        #expect((1_333...2_000).contains(moved.count), "\(moved.count), a sixth is 1,667")
    }

    @Test func `does not mind the order of the servers`() {
        #expect(owners(names) == owners(names.reversed()))
    }

    @Test func `finds another server for a request that is tried again`() {
        let ring = HashRing(names)
        for key in keys.prefix(100) {
            let owner = ring.owner(of: key)!
            #expect(ring.owner(of: key, avoiding: owner) != owner)
            #expect(ring.owner(of: key, avoiding: (owner + 1) % 5) == owner)
        }
        #expect(HashRing(["a"]).owner(of: 7, avoiding: 0) == 0)
        #expect(HashRing([]).owner(of: 7) == nil)
    }

    /// Replicas and later processes must agree.
    @Test func `is the same in every process`() {
        #expect(StableHash.of(IPAddress("203.0.113.7")!) == 1_547_643_834_483_457_050)
        #expect(StableHash.of(Array("tenant-7".utf8).span) == 15_280_894_449_078_724_506)
    }
}

@Suite struct `What requests of one client have in common` {
    private func key(
        _ fields: String, _ source: Configuration.Upstream.HashKey.Source, _ name: String? = nil,
        client: String = "203.0.113.9"
    ) throws -> UInt64 {
        var hash = Configuration.Upstream.HashKey()
        hash.source = source
        hash.name = name
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: House.client)
        let bytes = Array("GET / HTTP/1.1\r\nHost: a.test\r\n\(fields)\r\n".utf8)
        let verdict = gatekeeper.decide(
            bytes.span, peer: IPAddress(client)!, now: Instant(nanoseconds: 0), wall: WallTime(seconds: 0),
            facts: &facts)
        guard case .forward = verdict else { throw NotForwarded(verdict: "\(verdict)") }
        return gatekeeper.affinity(bytes.span, facts, AffinityRule(hash))
    }

    private struct NotForwarded: Error { let verdict: String }

    @Test func `is the address`() throws {
        #expect(try key("", .client) == StableHash.of(IPAddress("203.0.113.9")!))
        #expect(try key("", .client, client: "203.0.113.8") != key("", .client))
    }

    @Test func `is a header, in any letter case of its name`() throws {
        let tenant = StableHash.of(Array("blue".utf8).span)
        #expect(try key("X-Tenant: blue\r\n", .header, "X-Tenant") == tenant)
        #expect(try key("x-tenant:  blue \r\n", .header, "X-TENANT") == tenant)
        #expect(try key("X-Tenants: blue\r\n", .header, "X-Tenant") == key("", .client))
    }

    @Test func `is a cookie among others`() throws {
        let session = StableHash.of(Array("s3".utf8).span)
        #expect(try key("Cookie: a=1; sid=s3; b=2\r\n", .cookie, "sid") == session)
        #expect(try key("Cookie: sid=s3\r\n", .cookie, "sid") == session)
        #expect(try key("Cookie: xsid=s3; sid2=s3; SID=s3; sid\r\n", .cookie, "sid") == key("", .client))
    }

    @Test func `is the address where there is nothing else`() throws {
        #expect(try key("", .header, "X-Tenant") == key("", .client))
        #expect(try key("", .subject) == key("", .client))
    }
}
