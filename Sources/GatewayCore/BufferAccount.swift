internal import Wire

/// What the connections of one worker hold in buffers. Written where bytes are put aside or given back, never for a
/// request that is handled where it was read; other threads learn of it in steps, since each step is theirs to wait for.
final class BufferAccount {
    private let shared: SharedCounters
    /// Bytes.
    private(set) var held = 0
    private var told = 0
    /// Of the whole process; beyond it `whenFull` is called.
    var limit = Int.max
    /// From within the call that put the last bytes aside: nothing may be let go before the turn ends.
    var whenFull: (() -> Void)?

    /// What may be missing in the process's sum, for each worker.
    private static let step = 64 << 10

    init(_ shared: SharedCounters) { self.shared = shared }

    func take(_ count: Int) {
        held += count
        guard held - told >= BufferAccount.step else { return }
        tell()
        if shared.bufferedBytes > limit { whenFull?() }
    }

    func giveBack(_ count: Int) {
        held -= count
        if told - held >= BufferAccount.step { tell() }
    }

    /// Makes the process's sum right.
    func tell() {
        shared.buffered(held - told)
        told = held
    }
}

/// Bytes that were read and not used: the beginning of a head, or what came ahead of its time. They are put back in front
/// of the next read (`Scratch.load`).
struct Stash {
    private(set) var bytes: [UInt8] = []
    private let account: BufferAccount

    init(_ account: BufferAccount) { self.account = account }

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }

    /// Replaces what was kept.
    mutating func keep(_ more: Span<UInt8>) {
        removeAll()
        more.withUnsafeBufferPointer { bytes = Array($0) }
        account.take(bytes.count)
    }

    /// Puts more behind it.
    mutating func append(_ more: Span<UInt8>) {
        more.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        account.take(more.count)
    }

    mutating func removeAll() {
        guard !bytes.isEmpty else { return }
        account.giveBack(bytes.count)
        bytes = []
    }
}
