internal import Crypto
internal import Glibc
internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Where feeds are read and understood: a million lines take a while, and files may be on slow disks.
final class FeedThread {
    struct Job: Sendable {
        enum Source: Sendable {
            /// Not read when it is as it was when it had this stamp.
            case file(path: String, unless: FileStamp?)
            case bytes([UInt8])
        }
        let feed: String
        let ticket: Int
        let source: Source
        let spared: [IPNetwork]
        /// Of what is in force; the same again is not understood anew.
        let known: [UInt8]?
        /// Entries of what is in force, where a list of far fewer is none; nil: any number will do.
        let former: Int?
        /// Where what is good is kept for the next start; nil: nowhere.
        let keptAs: FeedCopy?
    }

    struct Reply: Sendable {
        enum Outcome: Sendable {
            case table(FeedTable, digest: [UInt8])
            case same
            /// The file is as it was.
            case untouched
            case refused(FeedProblem)
        }
        let feed: String
        let ticket: Int
        let outcome: Outcome
        /// Of the file, as it was looked at; nil where it could not be read, which may pass without a change of it.
        let stamp: FileStamp?
        /// Why it could not be kept.
        let notKept: String?
    }

    private let jobs = Mailbox<Job?>()
    private let replies = Mailbox<Reply>()
    private let receiver: MailboxReceiver<Reply>
    private let thread: LoopThread

    init(on loop: EventLoop, receive: @escaping (Reply) -> Void) {
        let (jobs, replies) = (jobs, replies)
        thread = LoopThread(name: "feeds") { loop in
            let receiver = MailboxReceiver(jobs, on: loop) { job in
                if let job { replies.send(FeedThread.work(job)) } else { loop.stop() }
            }
            withExtendedLifetime(receiver) { loop.run() }
        }
        receiver = MailboxReceiver(replies, on: loop, receive: receive)
    }

    deinit {
        jobs.send(nil)
        // It may be in the middle of a long list.
        thread.detach()
    }

    func send(_ job: Job) { jobs.send(job) }

    private static func work(_ job: Job) -> Reply {
        // Before it is read: what changes meanwhile is seen by the next look.
        let stamp: FileStamp? = if case .file(let path, _) = job.source { FileStamp(path) } else { nil }
        func reply(_ outcome: Reply.Outcome, notKept: String? = nil) -> Reply {
            Reply(feed: job.feed, ticket: job.ticket, outcome: outcome, stamp: stamp, notKept: notKept)
        }
        if case .file(_, let known?) = job.source, stamp == known { return reply(.untouched) }
        switch FeedThread.contents(of: job.source) {
        case .failure(let problem):
            return Reply(
                feed: job.feed, ticket: job.ticket, outcome: .refused(problem),
                stamp: stamp?.isMissing == true ? stamp : nil, notKept: nil)
        case .success(let bytes):
            let digest = Bytes.sha256(bytes.span)
            if digest == job.known { return reply(.same) }
            switch FeedReader.read(bytes, name: job.feed, sparing: job.spared, after: job.former) {
            case .failure(let problem): return reply(.refused(problem))
            case .success(let table):
                return reply(.table(table, digest: digest), notKept: job.keptAs.flatMap { $0.write(bytes) })
            }
        }
    }

    private static func contents(of source: Job.Source) -> Result<[UInt8], FeedProblem> {
        switch source {
        case .bytes(let bytes): .success(bytes)
        case .file(let path, _): FeedFile.contents(of: path)
        }
    }
}

/// The last good list of a feed in the state directory: a start does not wait for anybody, and without it the addresses
/// would be let in until the list is here again.
struct FeedCopy: Hashable, Sendable {
    let directory: String
    let feed: Configuration.Feed

    var path: String { "\(directory)/\(feed.name).list" }

    /// The first line, a comment: a list of another source is none of this feed's. A digest, since a URL may hold a secret.
    private var title: [UInt8] {
        let source =
            switch feed.source {
            case .file(let path): "file \(path)"
            case .url(let url): "\(url)"
            }
        return Array("# of \(Base64URL.encode(Bytes.sha256(Array(source.utf8).span).span))\n".utf8)
    }

    /// Nil: there is none, or it is another's.
    func read() -> [UInt8]? {
        guard let bytes = try? FeedFile.read(path), bytes.starts(with: title) else { return nil }
        return Array(bytes[title.count...])
    }

    /// Why it could not be written; nil: it was.
    func write(_ bytes: [UInt8]) -> String? {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { return FeedFile.lastError(directory) }
        let fresh = path + ".new"
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return FeedFile.lastError(fresh) }
        var problem = FeedFile.write(title, to: descriptor) ?? FeedFile.write(bytes, to: descriptor)
        if problem == nil, fsync(descriptor) != 0 { problem = FeedFile.lastError(fresh) }
        close(descriptor)
        if problem == nil, rename(fresh, path) != 0 { problem = FeedFile.lastError(path) }
        if problem != nil { unlink(fresh) }
        return problem
    }
}

enum FeedFile {
    static func lastError(_ path: String) -> String { "\(path): \(String(cString: strerror(errno)))" }

    static func contents(of path: String) -> Result<[UInt8], FeedProblem> {
        do throws(FeedProblem) { return .success(try read(path)) } catch { return .failure(error) }
    }

    static func read(_ path: String) throws(FeedProblem) -> [UInt8] {
        // Not a pipe that nobody writes to, which would hold the thread for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FeedProblem(lastError(path)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FeedProblem("\(path) is no file")
        }
        var bytes: [UInt8] = []
        // It may grow while it is read.
        let limit = FeedReader.mostBytes + 1
        var room = [UInt8](repeating: 0, count: 1 << 18)
        while bytes.count < limit {
            let count = room.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress!, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FeedProblem(lastError(path)) }
            guard count > 0 else { break }
            bytes += room[..<count]
        }
        return bytes
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32) -> String? {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(cString: strerror(errno)) }
            done += count
        }
        return nil
    }
}
