import Glibc
import Testing

@testable import Settings

@Suite struct `A file that is read while the gateway serves` {
    /// A directory that is gone with the test.
    private func inDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/gateway-test-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        defer {
            unlink(path + "/file")
            rmdir(path)
        }
        try body(path + "/file")
    }

    @Test func `is read like any other when it is a regular one`() throws {
        try inDirectory { path in
            let file = open(path, O_WRONLY | O_CREAT, 0o600)
            #expect(write(file, "secret\n", 7) == 7)
            close(file)
            let whileServing = try FileAccess.whileServing.read(path).get()
            let before = try FileAccess.system.read(path).get()
            #expect(whileServing.bytes == Array("secret\n".utf8) && whileServing.mode == 0o600)
            #expect(before.bytes == whileServing.bytes)
        }
    }

    /// Nobody writes into the pipe: whoever waited for that would wait for ever.
    @Test func `is refused at once when a pipe is at its place`() throws {
        try inDirectory { path in
            #expect(mkfifo(path, 0o600) == 0)
            guard case .failure(let failure) = FileAccess.whileServing.read(path) else {
                Issue.record("a pipe was read")
                return
            }
            #expect(failure.reason == "It is no regular file")
        }
    }
}
