internal import Crypto
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The keys that assertions are signed with, on the control thread: those that were made here, or those of a file that may
/// change. Whenever they are others than before, all workers get them. When each signs is `AssertionKeyring`'s to say.
final class AssertionKeyStore {
    private static let interval = Interval.seconds(2)

    enum Rotation {
        /// The key that follows, and the one that signs until then.
        case rotated(AssertionKeyring.Entry, previous: AssertionKeyring.Entry)
        /// Nothing is signed.
        case off
        /// The operator's file says what signs.
        case keyIsInFile(String)
        /// The last one has not come to its end.
        case underWay(AssertionKeyring.Entry)
        case failed(String)
    }

    /// Nil: nothing is signed.
    private(set) var keyring: AssertionKeyring?
    /// Whether the state directory is this process's: another one may be taking over.
    var ownsState: () -> Bool = { true }

    private let directory: String
    private let log: OperationalLog
    private let audit: AuditLog
    private let publish: (AssertionKeyring) -> Void
    private var assertion: Configuration.Assertion?
    private var stamp: FileStamp?
    /// What kept the file from being used the last time; nil: nothing.
    private var fault: CertificateLoader.Finding?
    /// Whose turn was told of.
    private var signing = ""
    private var timer: LoopTimer?

    /// Those that the file has, as far as we have written it.
    private var kept: Set<String> = []

    /// - Parameters:
    ///   - directory: the state directory.
    ///   - publish: called with keys that differ from those before, and not from here.
    init(
        in directory: String, on loop: EventLoop, log: OperationalLog, audit: AuditLog,
        publish: @escaping (AssertionKeyring) -> Void
    ) {
        self.directory = directory
        self.log = log
        self.audit = audit
        self.publish = publish
        timer = LoopTimer(on: loop) { [unowned self] in look(at: .now()) }
        timer?.fire(every: AssertionKeyStore.interval)
    }

    /// What a configuration would sign with; nil: nothing. Throws before anything changes.
    func keyring(
        for next: Configuration.Assertion?, at now: WallTime
    ) throws(CertificateLoader.Finding) -> AssertionKeyring? {
        guard let next else { return nil }
        return try AssertionKeyLoader.keyring(for: next, after: keyring, in: directory, at: now)
    }

    /// The first configuration. `keep` follows when all else that may fail has not.
    func begin(_ first: Configuration.Assertion?) throws(CertificateLoader.Finding) {
        let now = WallTime.now()
        adopt(first, try keyring(for: first, at: now), at: now)
    }

    /// Writes down the keys that were made. Not before they are taken into force: one that was never published must not be what
    /// signs after the next start.
    func keep() throws(CertificateLoader.Finding) {
        guard assertion?.keyPath == nil, let keyring else { return }
        guard AssertionKeyStore.made(keyring) != kept else { return }
        if let problem = write(keyring) {
            throw .init(setting: "state_dir", path: path, message: "the assertion key cannot be kept: \(problem)")
        }
    }

    private var path: String { AssertionKeyFile.path(in: directory) }

    private static func made(_ keyring: AssertionKeyring) -> Set<String> {
        Set(keyring.entries.filter { $0.origin == .made }.map(\.key.id))
    }

    /// Why the keys could not be written; nil: they were.
    private func write(_ keyring: AssertionKeyring) -> String? {
        if let problem = AssertionKeyFile.write(keyring.entries, to: path) { return problem }
        kept = AssertionKeyStore.made(keyring)
        return nil
    }

    private func tellUnwritable(_ reason: String) {
        log.log(
            .error, "assertion.key_file_unwritable", "The file of the assertion keys cannot be written",
            [("reason", .text(reason))])
    }

    /// Takes over a configuration with its keys. Workers get them with its rules; `release` follows.
    func adopt(_ next: Configuration.Assertion?, _ keyring: AssertionKeyring?, at now: WallTime) {
        let before = self.keyring
        assertion = next
        self.keyring = keyring
        // It may have changed since it was read: the first look reads it once more.
        stamp = nil
        fault = nil
        signing = keyring?.current(at: now).key.id ?? ""
        tellChange(before, at: now)
    }

    func release() {
        do throws(CertificateLoader.Finding) {
            try keep()
        } catch {
            tellUnwritable(error.text)
        }
        if let keyring { publish(keyring) }
    }

    /// Publishes a new key. - Parameter isCompromised: the others are in the wrong hands, and end at once.
    func rotate(isCompromised: Bool, at now: WallTime) -> Rotation {
        guard let assertion, var next = keyring else { return .off }
        if let path = assertion.keyPath { return .keyIsInFile(path) }
        if let waiting = next.waiting(at: now), !isCompromised { return .underWay(waiting) }
        let key: SigningKey
        do throws(CertificateLoader.Finding) {
            key = try AssertionKeyLoader.make(assertion.algorithm ?? .es256, path)
        } catch {
            return .failed(error.message)
        }
        let previous = next.current(at: now)
        if isCompromised {
            next.replace(with: key, .made, at: now)
        } else {
            next.add(key, .made, maximumAge: assertion.jwksMaximumAge, at: now)
        }
        // Before anybody hears of it: after a restart it must still be there.
        if let problem = write(next) { return .failed("\(path): \(problem)") }
        keyring = next
        publish(next)
        tellTurn(at: now)
        return .rotated(next.entries[next.entries.count - 1], previous: previous)
    }

    // MARK: Time

    private func look(at now: WallTime) {
        readFile(at: now)
        tellTurn(at: now)
        guard var next = keyring else { return }
        let gone = next.forget(at: now)
        guard !gone.isEmpty else { return }
        keyring = next
        publish(next)
        for id in gone {
            log.log(
                .info, "assertion.key_withdrawn", "A key that signs no more is no longer published",
                [("kid", .text(id))])
        }
        guard assertion?.keyPath == nil, ownsState() else { return }
        if let problem = write(next) { tellUnwritable(problem) }
    }

    /// A new file is taken without a reload, also when a directory of links is swapped as Kubernetes does; whatever is wrong
    /// with it, the keys before stay.
    private func readFile(at now: WallTime) {
        guard let assertion, let path = assertion.keyPath, var next = keyring else { return }
        let seen = FileStamp(path)
        let isNew = seen != stamp
        guard isNew || fault?.isUnread == true else { return }
        stamp = seen
        do throws(CertificateLoader.Finding) {
            let (first, others) = try AssertionKeyLoader.read(path, assertion)
            next.follow(first, others, maximumAge: assertion.jwksMaximumAge, at: now)
            fault = nil
        } catch {
            let isNews = isNew || fault?.text != error.text
            fault = error
            guard isNews else { return }
            log.log(
                .error, "assertion.key_file_unusable", "A new file of keys cannot be used; those before stay in force",
                [("file", .text(error.path)), ("reason", .text(error.message))])
            return
        }
        let before = keyring
        keyring = next
        if before?.publicKeys != next.publicKeys || before?.entries.count != next.entries.count { publish(next) }
        tellChange(before, at: now)
    }

    // MARK: What people are told

    /// An operator who rotates is told by the admin server; this is for files and configurations.
    private func tellChange(_ before: AssertionKeyring?, at now: WallTime) {
        guard let last = before?.entries.last?.key.id, let entry = keyring?.entries.last, entry.key.id != last
        else { return }
        audit.record(
            AuditOperation("key_rotation", entry.announcement(after: last), by: "gateway", of: entry.key.id))
    }

    private func tellTurn(at now: WallTime) {
        guard let current = keyring?.current(at: now), current.key.id != signing else { return }
        signing = current.key.id
        log.log(
            .info, "assertion.key_signs", "Assertions are signed with another key than before",
            [("kid", .text(current.key.id)), ("algorithm", .text(current.key.algorithm.name))])
    }
}

extension AssertionKeyring.Entry {
    /// For the audit record.
    func announcement(after last: String) -> String {
        "Assertion key \(key.id) follows \(last) and signs from \(signsAt.text)"
    }
}
