internal import Glibc

/// Where a log goes.
package enum LogTarget: Hashable, Sendable {
    case off
    case standardOutput
    case standardError
    /// Appended to; created with mode 640.
    case file(path: String)
}

/// The three logs and where each goes. Two logs may share a target; their lines never mix within a line.
package struct LogTargets: Hashable, Sendable {
    package var access: LogTarget
    package var audit: LogTarget
    package var operational: LogTarget

    package init(access: LogTarget, audit: LogTarget, operational: LogTarget) {
        self.access = access
        self.audit = audit
        self.operational = operational
    }

    var all: [LogTarget] { [access, audit, operational] }
}

/// The logs, as a metric label and in reports.
package enum LogKind: Int, CaseIterable, Sendable {
    case access, audit, operational

    package var name: String {
        switch self {
        case .access: "access"
        case .audit: "audit"
        case .operational: "operational"
        }
    }
}

/// A log file that cannot be opened.
package struct LogFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let path: String
    package let errorNumber: Int32

    package var description: String { "cannot open the log \(path): \(errorText(errorNumber))" }
}

func errorText(_ number: Int32) -> String {
    guard let text = strerror(number) else { return "error \(number)" }
    return String(cString: text)
}

/// A descriptor that lines are appended to. Lives on the disk thread.
final class LogDestination {
    let target: LogTarget
    /// -1: none. Owned when the target is a file.
    private var descriptor: Int32
    /// A pipe or terminal can make `write` wait for a reader; a file cannot.
    private var mayBlock: Bool
    /// The rest of a line that went out in part. It goes first, so that no other line ends up inside it.
    private var tail: [UInt8] = []
    /// The `errno` of the last write, 0 while all is well. `EAGAIN`: the reader of a pipe is behind.
    private(set) var errorNumber: Int32 = 0

    private var failures = 0

    /// Failed writes since the last question.
    func takeFailures() -> Int {
        defer { failures = 0 }
        return failures
    }

    /// The reader of a pipe has closed it and cannot come back.
    var isGone: Bool { errorNumber == EPIPE }

    init(_ target: LogTarget) throws(LogFault) {
        self.target = target
        descriptor = -1
        mayBlock = false
        try open()
    }

    deinit { closeFile() }

    private func closeFile() {
        if case .file = target, descriptor >= 0 { close(descriptor) }
    }

    private func open() throws(LogFault) {
        switch target {
        case .off: descriptor = -1
        case .standardOutput: descriptor = STDOUT_FILENO
        case .standardError: descriptor = STDERR_FILENO
        case .file(let path):
            let opened = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o640)
            guard opened >= 0 else { throw LogFault(path: path, errorNumber: errno) }
            closeFile()
            descriptor = opened
        }
        var facts = stat()
        mayBlock = descriptor >= 0 && fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT != S_IFREG
    }

    /// Opens the path anew, as after a rotation. The old file stays in use where that fails. What was left of a line
    /// that went out in part is given up: half a line helps nobody in the new file.
    func reopen() throws(LogFault) {
        guard case .file = target else { return }
        flushTail()
        try open()
        tail = []
        errorNumber = 0
    }

    /// Writes whole lines that lie in two pieces and says how many bytes are done with: all, or up to the end of a line.
    func write(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Int {
        guard descriptor >= 0 else { return first.count + second.count }
        guard !isGone else { return 0 }
        guard flushTail() else { return 0 }
        var done = push(first)
        if done == first.count { done += push(second) }
        guard done > 0, done < first.count + second.count else { return done }
        func byte(_ index: Int) -> UInt8 { index < first.count ? first[index] : second[index - first.count] }
        while done < first.count + second.count, byte(done - 1) != UInt8(ascii: "\n") {
            tail.append(byte(done))
            done += 1
        }
        return done
    }

    @discardableResult
    private func flushTail() -> Bool {
        guard !tail.isEmpty else { return true }
        let done = tail.withUnsafeBytes { push($0) }
        tail.removeFirst(done)
        return tail.isEmpty
    }

    /// Bytes that went out before an error or before the reader would have had to be waited for.
    private func push(_ bytes: UnsafeRawBufferPointer) -> Int {
        var done = 0
        while done < bytes.count {
            var length = bytes.count - done
            if mayBlock {
                // A pipe that polls as writable takes PIPE_BUF bytes without waiting. O_NONBLOCK would do more, but it
                // belongs to the open file, which the shell and our parent share.
                var interest = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard poll(&interest, 1, 0) > 0 else {
                    errorNumber = EAGAIN
                    return done
                }
                length = min(length, Int(PIPE_BUF))
            }
            let result = Glibc.write(descriptor, bytes.baseAddress! + done, length)
            if result < 0 {
                if errno == EINTR { continue }
                errorNumber = errno
                failures += 1
                return done
            }
            done += result
        }
        errorNumber = 0
        return done
    }
}
