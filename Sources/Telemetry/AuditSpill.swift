internal import Glibc

/// Where audit lines wait on disk while their own target takes none: a file beside the gateway's state. Lives on the
/// disk thread. It is played back in order when the target is back, also after a restart; a crash during the playback
/// repeats lines rather than losing them.
///
/// One process at a time has it, by a lock: at an upgrade the former one keeps it to its end, and until then the next one
/// does without.
final class AuditSpill {
    /// Beyond this many bytes lines are lost, and counted: the disk of the state directory is not the log's to fill.
    static let limit = 256 << 20

    private let path: String
    /// Owned; -1 until there is something to keep.
    private var descriptor: Int32 = -1
    private var size = 0
    private var played = 0
    /// The file is there, and another process has it: to be looked at again.
    private(set) var isHeldElsewhere = false

    init(path: String) {
        self.path = path
        look()
    }

    /// Opens what another process has left, once that has let go.
    func look() {
        if descriptor < 0, access(path, F_OK) == 0 { open() }
    }

    deinit { letGo() }

    /// Leaves the file, and what is in it, to the next process.
    func letGo() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        size = 0
        played = 0
    }

    var isEmpty: Bool { size == played }

    private func open() {
        descriptor = Glibc.open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        isHeldElsewhere = flock(descriptor, LOCK_EX | LOCK_NB) != 0
        guard !isHeldElsewhere else {
            close(descriptor)
            descriptor = -1
            return
        }
        var facts = stat()
        if fstat(descriptor, &facts) == 0 { size = Int(facts.st_size) }
    }

    /// False: it could not be kept.
    func append(_ lines: UnsafeRawBufferPointer) -> Bool {
        if descriptor < 0 { open() }
        guard descriptor >= 0, size + lines.count <= AuditSpill.limit else { return false }
        var done = 0
        while done < lines.count {
            let result = write(descriptor, lines.baseAddress! + done, lines.count - done)
            if result < 0, errno == EINTR { continue }
            guard result > 0 else {
                // Takes back the half line, so that what is in the file stays readable.
                ftruncate(descriptor, off_t(size))
                return false
            }
            done += result
        }
        size += done
        return true
    }

    /// Gives what is kept to `use`, in whole lines, until it is empty or `use` takes no more.
    func playBack(_ use: (UnsafeRawBufferPointer) -> Int) {
        guard descriptor >= 0 else { return }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { chunk.deallocate() }
        while played < size {
            let count = pread(descriptor, chunk.baseAddress!, chunk.count, off_t(played))
            guard count > 0 else { break }
            let got = UnsafeRawBufferPointer(rebasing: chunk[..<count])
            guard let end = got.lastIndex(of: UInt8(ascii: "\n")) else {
                // No line is that long: what a crash left unfinished at the end.
                played = size
                break
            }
            let lines = UnsafeRawBufferPointer(rebasing: got[...end])
            let used = use(lines)
            played += used
            guard used == lines.count else { return }
        }
        guard played >= size, ftruncate(descriptor, 0) == 0 else { return }
        size = 0
        played = 0
    }
}
