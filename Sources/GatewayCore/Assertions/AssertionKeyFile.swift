internal import Crypto
internal import Glibc
internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// The keys that the gateway has made, in its state directory: PEM blocks with a line of times before each, of mode 600.
enum AssertionKeyFile {
    private static let name = "assertion.pem"
    private static let title =
        "# Private keys of this gateway, written by itself (docs/assertions.md). Keep them secret.\n"
    private static let start = Array("# published ".utf8)

    static func path(in directory: String) -> String { "\(directory)/\(name)" }

    /// The keys in the order in which they sign; none when there is no file. One that cannot be read is an error and never a
    /// reason to make another key: backends would refuse everybody, and nobody would know why.
    static func read(
        _ path: String, acceptsReadable: Bool, files: FileAccess = .system
    ) throws(CertificateLoader.Finding) -> [AssertionKeyring.Entry] {
        guard access(path, F_OK) == 0 || errno != ENOENT else { return [] }
        var bytes = try CertificateLoader.read(path, "state_dir", files, isSecret: !acceptsReadable)
        defer { Bytes.wipe(&bytes) }
        func finding(_ message: String) -> CertificateLoader.Finding {
            .init(
                setting: "state_dir", path: path,
                message: "\(message); restore the file, or remove it to have a new key made")
        }
        let times = times(in: bytes)
        let keys: [PEMKey]
        do throws(KeyError) {
            keys = try PEMKey.read(bytes)
        } catch {
            throw finding(error.description)
        }
        guard keys.count == times.count else { throw finding("it does not say when its keys are used") }
        var entries: [AssertionKeyring.Entry] = []
        for (key, times) in zip(keys, times) {
            guard case .signing(let key) = key else { throw finding(KeyError.notPrivate.description) }
            entries.append(.init(key, .made, publishedAt: times.published, signsAt: times.signs))
        }
        return entries
    }

    /// `# published 1764412345000, signs 1764412647000`: milliseconds since 1970.
    private static func times(in bytes: [UInt8]) -> [(published: WallTime, signs: WallTime)] {
        var found: [(WallTime, WallTime)] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: start) {
            let words = line.dropFirst(start.count).split(whereSeparator: { ", ".utf8.contains($0) })
            guard words.count == 3, words[1].elementsEqual("signs".utf8),
                let published = Int64(String(decoding: words[0], as: UTF8.self)),
                let signs = Int64(String(decoding: words[2], as: UTF8.self))
            else { continue }
            found.append((WallTime(milliseconds: published), WallTime(milliseconds: signs)))
        }
        return found
    }

    /// Replaces the file in one step; the keys are on the disk when it returns.
    /// - Returns: why it could not be written; nil: it was.
    static func write(_ entries: [AssertionKeyring.Entry], to path: String) -> String? {
        var text = Array(title.utf8)
        // All at once: a row that grows leaves copies behind.
        text.reserveCapacity(512 * (entries.count + 1))
        defer { Bytes.wipe(&text) }
        for entry in entries where entry.origin == .made {
            guard var pem = entry.key.pem else { return "the key cannot be written as PEM" }
            text += start + Array("\(entry.publishedAt.milliseconds), signs \(entry.signsAt.milliseconds)\n".utf8)
            text += pem
            Bytes.wipe(&pem)
        }
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        do throws(DirectoryPath.Failure) {
            try DirectoryPath.make(directory)
        } catch {
            return "\(error.path): \(String(cString: strerror(error.errno)))"
        }
        let fresh = path + ".new"
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return "\(fresh): \(String(cString: strerror(errno)))" }
        let problem = write(text, to: descriptor)
        close(descriptor)
        guard problem == nil, rename(fresh, path) == 0 else {
            let reason = problem ?? String(cString: strerror(errno))
            unlink(fresh)
            return reason
        }
        // A rename is on the disk when its directory is.
        let parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if parent >= 0 {
            fsync(parent)
            close(parent)
        }
        return nil
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> String? {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(cString: strerror(errno)) }
            done += count
        }
        return fsync(descriptor) == 0 ? nil : String(cString: strerror(errno))
    }
}
