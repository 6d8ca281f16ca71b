import Glibc
import Synchronization
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The table of connections by address` {
    private let table = AddressTable()
    private let address = IPAddress("192.0.2.1")!

    private func slot(_ entry: AddressTable.Entry) -> Int32? {
        if case .counted(let slot) = entry { slot } else { nil }
    }

    @Test func `counts up to the limit and lets in whoever follows one that left`() throws {
        let first = try #require(slot(table.enter(address, limit: 2)))
        #expect(table.enter(address, limit: 2) == .counted(first))
        #expect(table.enter(address, limit: 2) == .full)
        table.leave(first)
        #expect(table.enter(address, limit: 2) == .counted(first))
        #expect(table.enter(address, limit: 2) == .full)
    }

    @Test func `counts each IPv4 address by itself`() {
        #expect(slot(table.enter(address, limit: 1)) != nil)
        #expect(slot(table.enter(IPAddress("192.0.2.2")!, limit: 1)) != nil)
        #expect(table.enter(address, limit: 1) == .full)
    }

    @Test func `counts an IPv6 network of 64 bits as one address`() {
        #expect(slot(table.enter(IPAddress("2001:db8::1")!, limit: 1)) != nil)
        #expect(table.enter(IPAddress("2001:db8::ffff:ffff:1:2")!, limit: 1) == .full)
        #expect(slot(table.enter(IPAddress("2001:db8:0:1::1")!, limit: 1)) != nil)
        #expect(slot(table.enter(IPAddress("::1")!, limit: 1)) != nil)
    }

    @Test func `counts IPv4 clients behind a translator each by itself, with their own address`() {
        #expect(slot(table.enter(IPAddress("64:ff9b::192.0.2.1")!, limit: 1)) != nil)
        #expect(slot(table.enter(IPAddress("64:ff9b::192.0.2.2")!, limit: 1)) != nil)
        #expect(table.enter(address, limit: 1) == .full)
    }

    /// Slots are used again by other addresses.
    @Test func `forgets who has left`() throws {
        for value in 0..<400_000 {
            let entry = table.enter(IPAddress(v4: UInt32(value)), limit: 1)
            table.leave(try #require(slot(entry)))
        }
        for value in 0..<1_000 as Range<UInt32> { #expect(table.enter(IPAddress(v4: value), limit: 1) != .full) }
    }

    /// More addresses than it has slots: some are not counted, and no other is refused for it.
    @Test func `locks nobody out when it is full`() {
        var uncounted = 0
        for value in 0..<100_000 as Range<UInt32> {
            let entry = table.enter(IPAddress(v4: value), limit: 1)
            #expect(entry != .full)
            if entry == .uncounted { uncounted += 1 }
        }
        #expect(uncounted > 30_000)
    }

    /// Threads come and go with few addresses in few slots; never are more in than may be, and at the end nobody is.
    @Test func `is exact for threads at the same time`() {
        let crowd = Crowd()
        var threads = [pthread_t](repeating: 0, count: 4)
        for index in threads.indices {
            pthread_create(
                &threads[index], nil,
                { context in
                    Unmanaged<Crowd>.fromOpaque(context!).takeUnretainedValue().run()
                    return nil
                }, Unmanaged.passUnretained(crowd).toOpaque())
        }
        // The crowd outlives its threads: they are joined here.
        for thread in threads { pthread_join(thread, nil) }
        #expect(crowd.excess.load(ordering: .relaxed) == 0)
        for value in 0..<Crowd.addresses {
            for _ in 0..<Crowd.limit { #expect(crowd.table.enter(Crowd.address(value), limit: Crowd.limit) != .full) }
        }
    }
}

private final class Crowd: Sendable {
    static let addresses = 3
    static let limit = 3
    let table = AddressTable()
    let excess = Atomic<Int>(0)

    static func address(_ value: Int) -> IPAddress { IPAddress(v4: UInt32(value)) }

    /// Everybody in the same slot of an address holds what it says it counts.
    func run() {
        for round in 0..<200_000 {
            let address = Crowd.address(round % Crowd.addresses)
            guard case .counted(let slot) = table.enter(address, limit: Crowd.limit) else { continue }
            // A slot counts for one address only while anybody is in it: the limit of 1 below must find us.
            if table.enter(address, limit: 1) != .full { excess.wrappingAdd(1, ordering: .relaxed) }
            table.leave(slot)
        }
    }
}
