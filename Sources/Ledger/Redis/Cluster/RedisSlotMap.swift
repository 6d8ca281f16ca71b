internal import Settings

/// Who serves which slot, as one node of the cluster tells it (`CLUSTER SLOTS`): every slot has a master.
struct RedisSlotMap: Hashable {
    typealias Address = Configuration.SocketAddressText

    struct Master: Hashable {
        var address: Address
        /// The name that the node has among its own, and keeps over a restart.
        var id: String
        var lowestSlot: Int
        var slots: Int
    }

    /// By their lowest slots.
    private(set) var masters: [Master] = []
    /// Where else somebody may be asked for the map: the replicas.
    private(set) var replicas: [Address] = []
    /// Of each slot: its master, by place in `masters`.
    private var owners: [UInt16] = []

    /// A cluster has no more by its makers' own word; each takes two connections.
    static let mostMasters = 1_000
    private static let mostReplicas = 64

    /// - Parameter node: whoever told. One that does not know its own address leaves it out.
    init(_ reply: RESPValue, toldBy node: Address) throws(LedgerError) {
        if let error = reply.error { throw LedgerError(error) }
        guard let ranges = reply.array, ranges.count <= RedisSlot.count else {
            throw LedgerError("an unexpected reply to CLUSTER SLOTS")
        }
        let none = UInt16.max
        var owners = [UInt16](repeating: none, count: RedisSlot.count)
        var places: [Address: UInt16] = [:]
        for range in ranges {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].integer, let last = parts[1].integer,
                first >= 0, first <= last, last < Int64(RedisSlot.count)
            else { throw LedgerError("an unexpected range in the reply to CLUSTER SLOTS") }
            let address = try RedisSlotMap.address(parts[2], toldBy: node)
            if places[address] == nil {
                guard masters.count < RedisSlotMap.mostMasters else {
                    throw LedgerError("the cluster has more than \(RedisSlotMap.mostMasters) masters")
                }
                places[address] = UInt16(masters.count)
                let id = parts[2].array.flatMap { $0.count > 2 ? $0[2].text : nil } ?? ""
                masters.append(Master(address: address, id: id, lowestSlot: RedisSlot.count, slots: 0))
            }
            let place = places[address]!
            for slot in Int(first)...Int(last) {
                guard owners[slot] == none else {
                    throw LedgerError("slot \(slot) stands twice in the reply to CLUSTER SLOTS")
                }
                owners[slot] = place
            }
            masters[Int(place)].lowestSlot = min(masters[Int(place)].lowestSlot, Int(first))
            masters[Int(place)].slots += Int(last - first) + 1
            for replica in parts.dropFirst(3) where replicas.count < RedisSlotMap.mostReplicas {
                // One that nobody knows the address of is of no use, and no harm.
                if let address = try? RedisSlotMap.address(replica, toldBy: node), !replicas.contains(address) {
                    replicas.append(address)
                }
            }
        }
        if let first = owners.firstIndex(of: none) {
            let last = owners[first...].firstIndex { $0 != none }.map { $0 - 1 } ?? RedisSlot.count - 1
            let which = first == last ? "slot \(first) is" : "the slots \(first) to \(last) are"
            throw LedgerError("\(which) served by no node: see CLUSTER SLOTS")
        }
        let order = masters.indices.sorted { masters[$0].lowestSlot < masters[$1].lowestSlot }
        var moved = [UInt16](repeating: 0, count: masters.count)
        for (place, former) in order.enumerated() { moved[former] = UInt16(place) }
        masters = order.map { masters[$0] }
        self.owners = owners.map { moved[Int($0)] }
    }

    func master(of slot: Int) -> Master { masters[Int(owners[slot])] }

    /// `[host, port, id, …]`. Where the cluster does not know itself what its nodes are called, its answer has nothing, or `?`.
    private static func address(_ value: RESPValue, toldBy node: Address) throws(LedgerError) -> Address {
        guard let parts = value.array, parts.count >= 2, let port = parts[1].integer, (1...65_535).contains(port) else {
            throw LedgerError("a node without a port in the reply to CLUSTER SLOTS")
        }
        let host = parts[0].text ?? ""
        return Address(host: try RedisSlotMap.host(host, toldBy: node), port: UInt16(port))
    }

    /// Names of nodes go into logs and metrics, so they are names.
    static func host(_ text: String, toldBy node: Address) throws(LedgerError) -> String {
        if text.isEmpty { return node.host }
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "%"):
                true
            default: false
            }
        }
        guard isName, text.utf8.count <= 253 else {
            throw LedgerError(
                "a node of the cluster announces no usable name: see cluster-announce-ip, cluster-announce-hostname and "
                    + "cluster-preferred-endpoint-type")
        }
        return text
    }
}

extension Configuration.SocketAddressText {
    /// As it is written in gateway.conf.
    var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
