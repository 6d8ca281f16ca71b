internal import Glibc

/// Directories that must be there.
package enum DirectoryPath {
    package struct Failure: Error {
        /// The one that cannot be made.
        package let path: String
        package let errno: Int32
    }

    /// Makes what is missing of the path, for this user alone (mode 700). What is there stays as it is, whatever it is.
    package static func make(_ path: String) throws(Failure) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        for count in 1...max(1, parts.count) {
            let directory = parts[..<min(count, parts.count)].joined(separator: "/")
            guard !directory.isEmpty, access(directory, F_OK) != 0 else { continue }
            if mkdir(directory, 0o700) != 0, errno != EEXIST { throw Failure(path: directory, errno: errno) }
        }
    }
}
