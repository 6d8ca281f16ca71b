/// The one buffer that a worker reads into. Bytes are handled where they were read; what cannot be handled yet is stashed
/// with its connection and put back in front of the next read.
///
/// 256 KiB: smaller buffers cost up to half as much CPU again on large bodies.
final class Scratch {
    static let size = 256 * 1_024
    /// What is read at once while a head is expected: pipelined requests behind it must be stashed.
    static let headRead = 64 * 1_024

    /// Owned; freed in `deinit`.
    let memory: UnsafeMutableRawBufferPointer

    init() {
        memory = .allocate(byteCount: Scratch.size, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Puts stashed bytes to the front and returns how many there are. The stash is empty afterwards.
    func load(_ stash: inout Stash) -> Int {
        let count = stash.count
        if count > 0 {
            precondition(count <= Scratch.size, "a stash never holds more than one read")
            stash.bytes.withUnsafeBytes { memory.copyMemory(from: $0) }
            stash.removeAll()
        }
        return count
    }

    /// The room behind the first `used` bytes, at most `limit` bytes in all.
    func room(after used: Int, limit: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[min(used, limit)..<limit])
    }

    /// The first `count` bytes. The memory lives as long as the worker, and so as long as anything on its thread; what
    /// it holds is replaced by the next read.
    @_lifetime(immortal)
    func bytes(_ count: Int) -> Span<UInt8> {
        let typed = UnsafeBufferPointer(start: memory.baseAddress!.assumingMemoryBound(to: UInt8.self), count: count)
        return unsafe _overrideLifetime(Span(_unsafeElements: typed), copying: ())
    }
}
