internal import Wire

/// Addresses with deadlines: open addressing with linear probing, at most three quarters full, so that a probe touches
/// one or two cache lines. Removal shifts back instead of leaving tombstones, so lookups never get slower with age.
struct DeadlineMap: Sendable {
    private struct Slot {
        var high: UInt64
        var low: UInt64
        /// Nanoseconds of the monotonic clock; `Int64.min` marks a free slot.
        var deadline: Int64

        static let free = Slot(high: 0, low: 0, deadline: .min)
        var isFree: Bool { deadline == .min }
    }

    private var slots: [Slot]
    private(set) var count = 0
    private let hash: AddressHash
    private var cursor = 0

    init(seed: UInt64) {
        hash = AddressHash(seed: seed)
        slots = Array(repeating: .free, count: 16)
    }

    /// The deadline of `address`; one that is long over when it is not here.
    func deadline(of address: IPAddress) -> Instant {
        Instant(nanoseconds: slots[position(of: address)].deadline)
    }

    mutating func set(_ address: IPAddress, _ deadline: Instant, at now: Instant) {
        var index = position(of: address)
        if slots[index].isFree {
            if (count + 1) * 4 > slots.count * 3 {
                rebuild(at: now)
                index = position(of: address)
            }
            count += 1
        }
        // The lowest value means "free", and no deadline is that old.
        let nanoseconds = max(deadline.nanoseconds, .min + 1)
        slots[index] = Slot(high: address.high, low: address.low, deadline: nanoseconds)
    }

    mutating func remove(_ address: IPAddress) {
        let index = position(of: address)
        if !slots[index].isFree { removeSlot(index) }
    }

    /// Slots that a lookup of `address` looks at: one when it is at home or its home is free.
    func probes(for address: IPAddress) -> Int {
        ((position(of: address) - home(address)) & (slots.count - 1)) + 1
    }

    /// True when the end of the slots was reached, and the next call begins anew.
    mutating func sweep(at now: Instant, budget: Int) -> Bool {
        var left = budget
        while cursor < slots.count {
            guard left > 0 else { return false }
            left -= 1
            // What is shifted into the place of a removed slot is looked at next.
            if !slots[cursor].isFree, slots[cursor].deadline <= now.nanoseconds {
                removeSlot(cursor)
            } else {
                cursor += 1
            }
        }
        cursor = 0
        return true
    }

    private func home(_ address: IPAddress) -> Int {
        Int(truncatingIfNeeded: hash.of(address) & UInt64(slots.count - 1))
    }

    /// Where `address` is, or the free slot where it belongs.
    private func position(of address: IPAddress) -> Int {
        var index = home(address)
        while !slots[index].isFree, slots[index].low != address.low || slots[index].high != address.high {
            index = (index + 1) & (slots.count - 1)
        }
        return index
    }

    private mutating func removeSlot(_ removed: Int) {
        let mask = slots.count - 1
        var hole = removed
        var index = removed
        while true {
            index = (index + 1) & mask
            let slot = slots[index]
            if slot.isFree { break }
            // A slot may move into the hole unless its home lies behind the hole on its way.
            let distance = (index - home(IPAddress(high: slot.high, low: slot.low))) & mask
            if distance >= (index - hole) & mask {
                slots[hole] = slot
                hole = index
            }
        }
        slots[hole] = .free
        count -= 1
    }

    /// Drops what has expired, and doubles when that made too little room.
    private mutating func rebuild(at now: Instant) {
        let old = slots.filter { !$0.isFree && $0.deadline > now.nanoseconds }
        var capacity = slots.count
        while (old.count + 1) * 2 > capacity { capacity *= 2 }
        slots = Array(repeating: .free, count: capacity)
        count = old.count
        cursor = 0
        for slot in old { slots[position(of: IPAddress(high: slot.high, low: slot.low))] = slot }
    }
}
