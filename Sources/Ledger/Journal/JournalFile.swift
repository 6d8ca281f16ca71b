internal import Glibc
internal import Transport
internal import Wire

/// The directory a ledger keeps its state in, held by a lock so that no second process writes there.
package struct StateDirectory: Sendable {
    package let path: String
    /// Owned until `release()`; the lock lasts as long as the descriptor.
    private let lock: Int32

    /// Makes the directory (mode 700) when it is missing, those that it is in too, and locks it.
    package init(_ path: String) throws(LedgerError) {
        self.path = path
        do throws(DirectoryPath.Failure) {
            try DirectoryPath.make(path)
        } catch {
            let reason = "\(error.path): \(String(cString: strerror(error.errno)))"
            throw LedgerError("The state directory \(path) cannot be made: \(reason)")
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw LedgerError("The state directory \(path) is not a directory")
        }
        // Whoever can write here can unblock himself.
        guard status.st_mode & 0o022 == 0 else {
            throw LedgerError("The state directory \(path) can be written by others; make its mode 700")
        }
        lock = open("\(path)/ledger.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw LedgerError("The state directory \(path) cannot be used: \(SystemError.last)") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno == EWOULDBLOCK ? "another gateway is using it" : SystemError.last
            close(lock)
            throw LedgerError("The state directory \(path) cannot be locked: \(reason)")
        }
    }

    /// Unlocks, too, and does not leave it to `close`: a process that was forked and is not yet another program holds the
    /// descriptor a moment longer.
    package func release() {
        _ = flock(lock, LOCK_UN)
        close(lock)
    }
}

enum SystemError {
    /// `errno` in words.
    static var last: String { String(cString: strerror(errno)) }
}

/// A journal that has been read and is ready to be appended to.
struct OpenedJournal: Sendable {
    let path: String
    /// Owned by whoever writes.
    let descriptor: Int32
    let size: Int
    let state: JournalState
    /// Bytes of a record that was not finished, now cut off.
    let tornBytes: Int

    /// Reads what is there, and cuts off the torn end that a crash left.
    init(in directory: StateDirectory, name: String, at now: WallTime) throws(LedgerError) {
        path = "\(directory.path)/\(name)"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw LedgerError("\(path) cannot be opened: \(SystemError.last)") }
        let bytes = try OpenedJournal.readAll(descriptor, path)
        var state = JournalState()
        let magic = JournalCoding.magic
        // A file cut short within its magic is one whose very first write was torn.
        if bytes.count < magic.count, magic.starts(with: bytes) {
            tornBytes = bytes.count
            size = magic.count
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, magic, magic.count, 0) == magic.count else {
                throw LedgerError("\(path) cannot be written: \(SystemError.last)")
            }
        } else {
            guard bytes.starts(with: magic) else { throw LedgerError("\(path) is not a journal of this gateway") }
            size = JournalCoding.replay(bytes, into: &state)
            tornBytes = bytes.count - size
            if tornBytes > 0, ftruncate(descriptor, off_t(size)) != 0 {
                throw LedgerError("\(path) cannot be written: \(SystemError.last)")
            }
        }
        state.expire(at: now)
        self.state = state
    }

    private static func readAll(_ descriptor: Int32, _ path: String) throws(LedgerError) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LedgerError("\(path): \(SystemError.last)") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let wanted = bytes.count - filled
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + filled, wanted, off_t(filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LedgerError("\(path) cannot be read: \(SystemError.last)") }
            filled += count
        }
        return bytes
    }
}

/// Appends to a journal and, when it has grown, replaces it by the shortest one that amounts to the same. Lives on the
/// disk thread. It keeps the folded state itself, so that no other thread has to hand over a million blocks.
final class JournalWriter {
    private let path: String
    /// Owned.
    private var descriptor: Int32
    /// Bytes of whole records in the file.
    private var size: Int
    private var rewriteAbove: Int
    private var state: JournalState
    private var pending: [UInt8] = []
    private var mustSync = false
    /// After a failed write the file may lack records, so the next success must be a rewrite.
    private var isBehind = false

    init(_ opened: OpenedJournal) {
        path = opened.path
        descriptor = opened.descriptor
        size = opened.size
        state = opened.state
        rewriteAbove = max(1 << 20, 2 * opened.size)
    }

    deinit { close(descriptor) }

    func append(_ records: [JournalRecord], durable: Bool) {
        for record in records {
            state.apply(record)
            JournalCoding.append(record, to: &pending)
        }
        mustSync = mustSync || durable
    }

    /// Writes what was appended; durable records are on the disk when it returns.
    func flush() throws(LedgerError) {
        if isBehind || size + pending.count > rewriteAbove {
            try rewrite()
            return
        }
        guard !pending.isEmpty else { return }
        do throws(LedgerError) {
            try JournalWriter.write(pending, to: descriptor, at: size, path)
            if mustSync, fdatasync(descriptor) != 0 { throw LedgerError("\(path): \(SystemError.last)") }
        } catch {
            // Half a record in the middle would hide everything behind it.
            ftruncate(descriptor, off_t(size))
            pending = []
            isBehind = true
            throw error
        }
        size += pending.count
        pending.removeAll(keepingCapacity: pending.count < 1 << 20)
        mustSync = false
    }

    /// The state as a new file under the old name: whoever reads finds the one or the other, never half.
    private func rewrite() throws(LedgerError) {
        state.expire(at: .now())
        isBehind = true
        pending = []
        let fresh = path + ".new"
        let target = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard target >= 0 else { throw LedgerError("\(fresh) cannot be made: \(SystemError.last)") }
        do throws(LedgerError) {
            var written = 0
            var chunk = JournalCoding.magic
            try state.forEachRecord { (record) throws(LedgerError) in
                JournalCoding.append(record, to: &chunk)
                if chunk.count >= 1 << 20 {
                    try JournalWriter.write(chunk, to: target, at: written, fresh)
                    written += chunk.count
                    chunk.removeAll(keepingCapacity: true)
                }
            }
            try JournalWriter.write(chunk, to: target, at: written, fresh)
            written += chunk.count
            guard fsync(target) == 0, rename(fresh, path) == 0 else {
                throw LedgerError("\(path) cannot be replaced: \(SystemError.last)")
            }
            syncDirectory()
            close(descriptor)
            descriptor = target
            size = written
            rewriteAbove = max(1 << 20, 2 * written)
            isBehind = false
            mustSync = false
        } catch {
            close(target)
            unlink(fresh)
            throw error
        }
    }

    /// A rename is on the disk when its directory is.
    private func syncDirectory() {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int, _ path: String)
        throws(LedgerError)
    {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LedgerError("\(path) cannot be written: \(SystemError.last)") }
            done += count
        }
    }
}
