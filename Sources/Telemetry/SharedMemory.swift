internal import Glibc
internal import Synchronization

// The one file of this target whose types are `@unchecked Sendable`. Both own raw memory, which the compiler cannot see
// to be shared correctly; the reason why it is stands at each.

/// A fixed row of numbers shared by threads: counters that one thread writes and others read, and small tables.
///
/// `@unchecked`: the memory never moves or changes its size, and every access to it is atomic.
package final class AtomicTable: @unchecked Sendable {
    package let count: Int
    /// Owned; freed in `deinit`.
    private let cells: UnsafeMutablePointer<Atomic<Int>>

    package init(count: Int) {
        self.count = count
        // Lines of its own, so that the counters of two workers never share one.
        let line = 128
        let bytes = (count * MemoryLayout<Atomic<Int>>.stride + line - 1) / line * line
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, line), alignment: line)
        cells = memory.bindMemory(to: Atomic<Int>.self, capacity: count)
        for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: count)
        UnsafeMutableRawPointer(cells).deallocate()
    }

    package func load(_ index: Int) -> Int {
        precondition(index >= 0 && index < count, "a counter outside its table")
        return cells[index].load(ordering: .relaxed)
    }

    /// For the one writing thread: a load and a store are a fifth of an atomic addition.
    func add(_ amount: Int, to index: Int) {
        precondition(index >= 0 && index < count, "a counter outside its table")
        cells[index].store(cells[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// For the one writing thread, or the holder of a flag of `take`.
    package func store(_ value: Int, at index: Int) {
        precondition(index >= 0 && index < count, "a counter outside its table")
        cells[index].store(value, ordering: .relaxed)
    }

    /// For counters that several threads raise.
    package func addShared(_ amount: Int, to index: Int) {
        precondition(index >= 0 && index < count, "a counter outside its table")
        cells[index].wrappingAdd(amount, ordering: .relaxed)
    }

    func exchangeShared(_ value: Int, at index: Int) -> Int {
        precondition(index >= 0 && index < count, "a counter outside its table")
        return cells[index].exchange(value, ordering: .relaxed)
    }

    /// What was written before the value was stored with `storeReleasing` or `replace` is seen after this.
    package func loadAcquiring(_ index: Int) -> Int {
        precondition(index >= 0 && index < count, "a counter outside its table")
        return cells[index].load(ordering: .acquiring)
    }

    package func storeReleasing(_ value: Int, at index: Int) {
        precondition(index >= 0 && index < count, "a counter outside its table")
        cells[index].store(value, ordering: .releasing)
    }

    /// Stores `value` where `expected` still stands; false: something else does.
    package func replace(_ expected: Int, by value: Int, at index: Int) -> Bool {
        precondition(index >= 0 && index < count, "a counter outside its table")
        return cells[index].compareExchange(
            expected: expected, desired: value, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Takes a flag if it is free; never waits.
    func take(_ index: Int) -> Bool {
        precondition(index >= 0 && index < count, "a counter outside its table")
        return cells[index].compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged
    }

    func giveBack(_ index: Int) {
        precondition(index >= 0 && index < count, "a counter outside its table")
        cells[index].store(0, ordering: .releasing)
    }
}

/// A ring of bytes between one writing and one reading thread, holding whole lines.
///
/// A line is written in one piece, into slack behind the end where it must be, and what hangs over is copied round.
///
/// `@unchecked`: the writer touches only bytes between `written` and `consumed + capacity`, the reader only those
/// between `consumed` and `written`, and each hands bytes over by a store that the other loads.
final class LineRing: @unchecked Sendable {
    /// Every line that `lineMemory` has room for.
    static let longestLine = 4_096

    /// A power of two.
    private let capacity: Int
    /// Owned; freed in `deinit`. `capacity` bytes and the slack.
    private let memory: UnsafeMutableRawPointer
    /// Bytes ever written and ever consumed.
    private let written = Atomic<Int>(0)
    private let consumed = Atomic<Int>(0)

    init(capacity: Int) {
        precondition(capacity >= 2 * LineRing.longestLine && capacity & (capacity - 1) == 0, "a power of two")
        self.capacity = capacity
        memory = .allocate(byteCount: capacity + LineRing.longestLine, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Writer: room for the longest line; nil when the reader is too far behind.
    func lineMemory() -> UnsafeMutableRawBufferPointer? {
        let end = written.load(ordering: .relaxed)
        guard end - consumed.load(ordering: .acquiring) + LineRing.longestLine <= capacity else { return nil }
        return UnsafeMutableRawBufferPointer(
            start: memory + (end & (capacity - 1)), count: LineRing.longestLine)
    }

    /// Writer: hands over the first `count` bytes of the last `lineMemory`. True: more than half of the ring is waiting.
    func publish(_ count: Int) -> Bool {
        precondition(count >= 0 && count <= LineRing.longestLine, "longer than a line may be")
        let end = written.load(ordering: .relaxed)
        let over = (end & (capacity - 1)) + count - capacity
        if over > 0 { memcpy(memory, memory + capacity, over) }
        // Sequentially consistent, because the writer next asks whether the reader sleeps, and the reader says that it
        // sleeps before it looks here: one of the two must see the other.
        written.store(end + count, ordering: .sequentiallyConsistent)
        return end + count - consumed.load(ordering: .relaxed) > capacity / 2
    }

    var isEmpty: Bool {
        written.load(ordering: .sequentiallyConsistent) == consumed.load(ordering: .relaxed)
    }

    /// Reader: shows what is waiting, in two pieces where it goes round the end; the result says how much was used.
    func read(_ use: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Int) {
        let start = consumed.load(ordering: .relaxed)
        let waiting = written.load(ordering: .acquiring) - start
        guard waiting > 0 else { return }
        let offset = start & (capacity - 1)
        let first = min(waiting, capacity - offset)
        let used = use(
            UnsafeRawBufferPointer(start: memory + offset, count: first),
            UnsafeRawBufferPointer(start: memory, count: waiting - first))
        precondition(used >= 0 && used <= waiting, "used more than was shown")
        consumed.store(start + used, ordering: .releasing)
    }
}
