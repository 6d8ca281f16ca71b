internal import Glibc

/// How files are read; tests put their own in place of the system.
package struct FileAccess: Sendable {
    /// A file's bytes and permission bits (`st_mode & 0o7777`).
    package struct File: Sendable {
        package var bytes: [UInt8]
        package var mode: UInt32
        package init(bytes: [UInt8], mode: UInt32 = 0o600) {
            self.bytes = bytes
            self.mode = mode
        }
    }

    /// Why a file cannot be had, in words: "No such file or directory".
    package struct Failure: Error, Hashable, Sendable {
        package var reason: String
        package init(_ reason: String) { self.reason = reason }
    }

    /// Reads a whole regular file of at most 1 MiB, or a pipe to its end.
    package var read: @Sendable (_ path: String) -> Result<File, Failure>
    /// Whether this process could keep files in the directory, or make it: nil, or why not.
    package var obstacleToWriting: @Sendable (_ directory: String) -> String?
    /// Whether this process could append to the file, where it is there already: nil, or why not.
    package var obstacleToAppending: @Sendable (_ file: String) -> String?

    package init(
        read: @escaping @Sendable (String) -> Result<File, Failure>,
        obstacleToWriting: @escaping @Sendable (String) -> String? = { _ in nil },
        obstacleToAppending: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.read = read
        self.obstacleToWriting = obstacleToWriting
        self.obstacleToAppending = obstacleToAppending
    }

    package static let system = FileAccess(
        read: { readFile($0, .waiting) }, obstacleToWriting: findObstacle, obstacleToAppending: findObstacleInFile)

    /// For files that are read anew while the gateway serves: regular ones only. A pipe at their place, which has been read to
    /// its end at the start, would keep the thread for ever.
    package static let whileServing = FileAccess(
        read: { readFile($0, .regularOnly) }, obstacleToWriting: findObstacle, obstacleToAppending: findObstacleInFile)
}

private enum ReadMode {
    /// A pipe is read to its end.
    case waiting
    case regularOnly
}

private func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

private func readFile(_ path: String, _ mode: ReadMode) -> Result<FileAccess.File, FileAccess.Failure> {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (mode == .regularOnly ? O_NONBLOCK : 0))
    guard descriptor >= 0 else { return .failure(.init(reason(errno))) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .failure(.init(reason(errno))) }
    guard status.st_mode & S_IFMT != S_IFDIR else { return .failure(.init("Is a directory")) }
    guard mode == .waiting || status.st_mode & S_IFMT == S_IFREG else {
        return .failure(.init("It is no regular file"))
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { return .failure(.init(reason(errno))) }
        if count == 0 { break }
        bytes += chunk[..<count]
        // One byte more than allowed is enough to know.
        guard bytes.count <= YAMLReader.largest else { return .failure(.init("It is larger than 1 MiB")) }
    }
    return .success(.init(bytes: bytes, mode: status.st_mode & 0o7777))
}

private func findObstacle(_ directory: String) -> String? {
    var status = stat()
    if stat(directory, &status) == 0 {
        guard status.st_mode & S_IFMT == S_IFDIR else { return "it is not a directory" }
        return access(directory, W_OK | X_OK) == 0 ? nil : reason(errno)
    }
    guard errno == ENOENT else { return reason(errno) }
    // It will be made, so its nearest ancestor that exists must allow that.
    guard directory != "/", directory != "." else { return reason(ENOENT) }
    // Nobody makes directories there, root included, who may do everything else.
    guard !directory.hasPrefix("/proc/"), !directory.hasPrefix("/sys/") else { return "the directory cannot be made" }
    return findObstacle(parentDirectory(of: directory))
}

/// Opens nothing, so that a check leaves no file behind.
private func findObstacleInFile(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else {
        // The state directory is made when it is missing; that of a log is not.
        let directory = parentDirectory(of: path)
        return stat(directory, &status) == 0 ? nil : "\(directory): \(reason(errno))"
    }
    if status.st_mode & S_IFMT == S_IFDIR { return "it is a directory" }
    return access(path, W_OK) == 0 ? nil : reason(errno)
}

/// The part before the last slash; `.` when there is none.
func parentDirectory(of path: String) -> String {
    var path = Substring(path)
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
