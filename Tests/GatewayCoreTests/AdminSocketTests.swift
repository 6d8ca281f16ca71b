import Glibc
import Testing
import Transport

@testable import GatewayCore

@Suite struct `The admin socket` {
    /// A new directory in /tmp; a socket's path has room for 107 bytes only.
    private final class Place {
        let directory: String

        init() throws {
            var template = Array("/tmp/admin-XXXXXX".utf8CString)
            directory = String(cString: try #require(mkdtemp(&template)))
        }

        deinit {
            for name in ["deep/er/admin.sock", "admin.sock"] { unlink("\(directory)/\(name)") }
            for name in ["/deep/er", "/deep", ""] { rmdir(directory + name) }
        }

        var path: String { "\(directory)/admin.sock" }
    }

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    @Test func `is its owner's alone, and so are the directories made for it`() throws {
        let place = try Place()
        let path = "\(place.directory)/deep/er/admin.sock"
        let socket = try AdminSocket(path: path)
        #expect(mode(path) == 0o600)
        #expect(mode("\(place.directory)/deep/er") == 0o700)
        #expect(mode("\(place.directory)/deep") == 0o700)
        socket.close()
        #expect(mode(path) == nil)
    }

    @Test func `replaces the file of a process that is gone`() throws {
        let place = try Place()
        let address = try #require(SocketAddress(unixPath: place.path))
        // Closing the listener leaves its file, as a killed process does.
        _ = try ListeningSocket(bind: address, shared: false)
        #expect(mode(place.path) != nil)
        let socket = try AdminSocket(path: place.path)
        #expect(mode(place.path) == 0o600)
        socket.close()
    }

    @Test func `does not replace one that somebody listens on`() throws {
        let place = try Place()
        let first = try AdminSocket(path: place.path)
        #expect {
            _ = try AdminSocket(path: place.path)
        } throws: { error in
            "\(error)" == "the admin socket \(place.path) is in use (is another gateway running?)"
        }
        #expect(mode(place.path) == 0o600)
        first.close()
    }

    @Test func `never removes a file that is no socket`() throws {
        let place = try Place()
        let descriptor = open(place.path, O_WRONLY | O_CREAT, 0o644)
        close(descriptor)
        #expect(throws: AdminSocket.Failure.self) { _ = try AdminSocket(path: place.path) }
        #expect(mode(place.path) == 0o644)
    }

    @Test func `leaves the file of a successor alone`() throws {
        let place = try Place()
        let first = try AdminSocket(path: place.path)
        unlink(place.path)
        let second = try AdminSocket(path: place.path)
        first.close()
        #expect(mode(place.path) == 0o600)
        second.close()
        #expect(mode(place.path) == nil)
    }

    @Test func `says when its path is too long`() {
        let path = "/tmp/" + String(repeating: "a", count: 103)
        #expect(throws: AdminSocket.Failure.self) { _ = try AdminSocket(path: path) }
    }
}
