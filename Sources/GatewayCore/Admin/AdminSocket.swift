internal import Glibc
internal import Transport

/// The Unix socket of the command line: a file that only the gateway's user can open. Removed when it is closed.
final class AdminSocket {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let path: String
    private(set) var listener: ListeningSocket?
    /// The file's identity: one that another gateway has put in its place is not ours to remove.
    private let identity: (device: dev_t, inode: ino_t)

    /// A file left behind by a process that is gone is replaced; one that somebody answers on is not.
    /// - Parameter given: A socket at the path that the process was started with.
    init(path: String, given: ListeningSocket? = nil) throws(Failure) {
        self.path = path
        // One whose file somebody has removed is reached by nobody.
        if let given, access(path, F_OK) == 0 {
            listener = given
            identity = try AdminSocket.identity(of: path)
            return
        }
        guard let address = SocketAddress(unixPath: path) else {
            throw Failure(description: "admin.socket: the path may have 1 to 107 bytes: \(path)")
        }
        try AdminSocket.makeDirectory(of: path)
        try AdminSocket.clear(path, address)
        do throws(SystemError) {
            listener = try ListeningSocket(bind: address, shared: false)
        } catch {
            throw Failure(description: "cannot listen on the admin socket \(path): \(error)")
        }
        identity = try AdminSocket.identity(of: path)
    }

    private static func identity(of path: String) throws(Failure) -> (device: dev_t, inode: ino_t) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            throw Failure(description: "cannot find the admin socket \(path): \(text(errno))")
        }
        return (status.st_dev, status.st_ino)
    }

    func close() {
        guard let open = listener else { return }
        listener = nil
        guard !open.isHeldElsewhere else { return }
        var status = stat()
        if lstat(path, &status) == 0, status.st_dev == identity.device, status.st_ino == identity.inode {
            unlink(path)
        }
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }

    private static func makeDirectory(of path: String) throws(Failure) {
        guard let end = path.lastIndex(of: "/") else { return }
        do throws(DirectoryPath.Failure) {
            try DirectoryPath.make(String(path[..<end]))
        } catch {
            throw Failure(description: "cannot make the directory \(error.path): \(text(error.errno))")
        }
    }

    private static func clear(_ path: String, _ address: SocketAddress) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(description: "admin.socket: \(path) exists and is no socket")
        }
        switch StreamSocket.connect(to: address) {
        case .success(let socket):
            socket.close()
            throw Failure(description: "the admin socket \(path) is in use (is another gateway running?)")
        case .failure(let error) where error.number == ECONNREFUSED:
            // Nobody listens: its process ended without tidying up.
            guard unlink(path) == 0 else {
                throw Failure(description: "cannot replace the admin socket \(path): \(text(errno))")
            }
        case .failure(let error):
            throw Failure(description: "the admin socket \(path) is in use: \(error)")
        }
    }
}

extension StreamSocket {
    /// The user at the other end of a Unix socket, as the kernel vouches for it (SO_PEERCRED); nil when it does not.
    var peerUser: UInt32? {
        // struct ucred: process, user, group.
        var credentials: (pid_t, uid_t, gid_t) = (0, .max, .max)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0,
            credentials.1 != .max
        else { return nil }
        return credentials.1
    }
}
