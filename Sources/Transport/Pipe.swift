internal import CLibevent
internal import Glibc

/// A pipe through which bytes go from one socket to another without ever being in this process (splice(2)). The system
/// moves references to its own pages; nobody here can look at the bytes, so nobody must have to.
package final class Pipe {
    /// Bytes that were taken from a socket and not given to another yet.
    package private(set) var held = 0
    private let entrance: Int32
    private let exit: Int32
    /// Told when the pipe is no more. Weak: connections with a pipe may outlive their worker's pool.
    private weak var pool: PipePool?

    /// What a pipe holds at most. Smaller ones need more calls; the system allows a user without privileges 64 MiB of
    /// pipes in all, and 1 MiB each (pipe(7)).
    package static let capacity = 512 << 10

    private init(_ exit: Int32, _ entrance: Int32, of pool: PipePool) {
        self.exit = exit
        self.entrance = entrance
        self.pool = pool
    }

    /// Nil: there is no descriptor left, or the system grants no pipe of that size.
    fileprivate static func make(for pool: PipePool) -> Pipe? {
        var ends: [Int32] = [-1, -1]
        guard shim_pipe(&ends) == 0 else { return nil }
        guard shim_fcntl(ends[1], shim_set_pipe_size, Int32(capacity)) >= 0 else {
            for end in ends { CLibevent.close(end) }
            return nil
        }
        return Pipe(ends[0], ends[1], of: pool)
    }

    deinit {
        CLibevent.close(exit)
        CLibevent.close(entrance)
        pool?.lostOne()
    }

    /// Takes what has arrived at `source`, at most `limit` bytes; the pipe must be empty. Less than there is may be taken:
    /// a page that is not full takes the room of one that is.
    package func fill(from source: StreamSocket, limit: Int) -> Transfer {
        precondition(held == 0, "what is in the pipe must leave it first")
        let transfer = move(source.descriptor, entrance, limit)
        if case .bytes(let count) = transfer { held = count }
        return transfer
    }

    /// Gives `sink` as much as it takes. Never `.ended`; SIGPIPE must be ignored.
    package func drain(to sink: StreamSocket) -> Transfer {
        let transfer = move(exit, sink.descriptor, held)
        if case .bytes(let count) = transfer { held -= count }
        return transfer
    }

    private func move(_ from: Int32, _ to: Int32, _ limit: Int) -> Transfer {
        while true {
            let count = shim_splice(from, nil, to, nil, limit, shim_splice_flags)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno)
        }
    }

    /// Empty again: for the next who needs one.
    package func giveBack() {
        if held == 0 { pool?.take(back: self) }
    }
}

/// The pipes of one worker: made when one is needed, kept for the next, and so few that they never matter among the
/// descriptors and the memory of the process.
package final class PipePool {
    private var idle: [Pipe] = []
    /// Made and not closed yet.
    package private(set) var count = 0
    /// This system splices nothing, or is not allowed to.
    private var isUseless = false
    /// The system had none, and is not asked again before the next sweep.
    private var isRefused = false
    private var quietSweeps = 0
    private let limit: Int

    /// - Parameter limit: whoever finds that many in use copies.
    package init(limit: Int) { self.limit = limit }

    /// After so many sweeps in which nobody wanted a pipe, none is kept.
    package static let patience = 40

    package func lend() -> Pipe? {
        quietSweeps = 0
        if let pipe = idle.popLast() { return pipe }
        guard !isUseless, !isRefused, count < limit else { return nil }
        guard let pipe = Pipe.make(for: self) else {
            isRefused = true
            return nil
        }
        count += 1
        return pipe
    }

    /// Called now and then.
    package func sweep() {
        isRefused = false
        quietSweeps += 1
        if quietSweeps > PipePool.patience { _ = closeIdle() }
    }

    /// Closes the pipes that nobody has, if there are any: their descriptors are needed elsewhere.
    package func closeIdle() -> Bool {
        guard !idle.isEmpty else { return false }
        idle.removeAll()
        return true
    }

    /// Splicing failed in a way that says that it will always fail.
    package func giveUp() {
        isUseless = true
        idle.removeAll()
    }

    fileprivate func take(back pipe: Pipe) { idle.append(pipe) }
    fileprivate func lostOne() { count -= 1 }
}
