internal import Glibc

/// What tells one state of a file from another, following links.
struct FileStamp: Equatable {
    private var device: UInt = 0
    private var inode: UInt = 0
    /// −1: there is no such file.
    private var size = -1
    /// Of the last change to content or mode: a key that nobody could read yet is one that is tried again.
    private var seconds = 0
    private var nanoseconds = 0

    var isMissing: Bool { size < 0 }

    init(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
        size = Int(status.st_size)
        seconds = Int(status.st_ctim.tv_sec)
        nanoseconds = Int(status.st_ctim.tv_nsec)
    }
}
