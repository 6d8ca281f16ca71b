import Glibc
import Testing
import Wire

@testable import Settings

@Suite struct `gateway check` {
    @Test func `says in one line that all is well`() {
        let source = ConfigurationSource(
            path: "gateway.conf", contents: Array(minimal.utf8), files: filesInMemory([:]))
        #expect(
            CheckCommand.run(source)
                == .init(
                    standardOutput: "gateway.conf is sound: 1 listener, 1 upstream, 1 route, no token keys\n",
                    standardError: "", exitCode: 0))
        let dump = CheckCommand.run(source, dump: true).standardOutput
        #expect(dump.hasPrefix("listen: [0.0.0.0:8080]"))
        #expect(dump.hasSuffix("no token keys\n"))
    }

    @Test func `counts errors and warnings`() {
        let text = "trusted_proxies: [0.0.0.0/0]\nworkers: 0\nlisten: []\n" + minimal
        let output = CheckCommand.run(
            .init(path: "gateway.conf", contents: Array(text.utf8), files: filesInMemory([:])))
        #expect(output.exitCode == 78)
        #expect(output.standardOutput == "")
        #expect(output.standardError.hasSuffix("gateway.conf: 2 errors, 1 warning\n"))
    }

    @Test func `refuses a log whose directory does not exist, since nobody makes it`() {
        let text = minimal + "state_dir: /tmp\nlogs: {audit: /tmp/there/is/none/audit.log}\n"
        let output = CheckCommand.run(.init(path: "gateway.conf", contents: Array(text.utf8)))
        #expect(output.exitCode == 78)
        #expect(
            output.standardError.hasPrefix(
                "gateway.conf:4:15: error: the log file \"/tmp/there/is/none/audit.log\" cannot be written: "
                    + "/tmp/there/is/none: No such file or directory\n"))
    }

    @Test func `leaves the admin socket known in spite of mistakes elsewhere`() {
        #expect(
            load(minimal + "state_dir: /var/lib/gateway\nlogn: {}\n").adminSocketPath == "/var/lib/gateway/admin.sock")
        #expect(load("login: {limit: five}\n", ["GATEWAY_STATE_DIR": "/srv"]).adminSocketPath == "/srv/admin.sock")
        #expect(load("admin: {socket: /run/g.sock}\nworkers: no\n").adminSocketPath == "/run/g.sock")
        #expect(load(minimal + "state_dir: [a, b]\n").adminSocketPath == nil)
        #expect(load(minimal + "admin: {socket: [a]}\n").adminSocketPath == nil)
        #expect(load("login: [\n").adminSocketPath == nil)
    }

    @Test func `refuses a state directory that cannot be written`() {
        let text = minimal + "state_dir: /dev/null/state\nlogs: {audit: /proc/none/audit.log}\n"
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        #expect(Configuration.load(source).diagnostics == [])
        #expect(
            CheckCommand.run(source)
                == .init(
                    standardOutput: "",
                    standardError: """
                        gateway.conf:3:12: error: the state directory "/dev/null/state" cannot be used: Not a directory
                            state_dir: /dev/null/state
                                       ^~~~~~~~~~~~~~~
                        gateway.conf:4:15: error: the log file "/proc/none/audit.log" cannot be written: \
                        the directory cannot be made
                            logs: {audit: /proc/none/audit.log}
                                          ^~~~~~~~~~~~~~~~~~~~
                        gateway.conf: 2 errors

                        """,
                    exitCode: 78))
    }

    @Test func `refuses a log that is there and cannot be appended to`() {
        var files = filesInMemory([:])
        files.obstacleToAppending = { $0 == "/var/log/audit.log" ? "Permission denied" : nil }
        let text = minimal + "logs: {access: /var/log/access.log, audit: /var/log/audit.log}\n"
        let output = CheckCommand.run(.init(path: "gateway.conf", contents: Array(text.utf8), files: files))
        #expect(output.exitCode == 78)
        #expect(
            output.standardError.hasPrefix(
                "gateway.conf:3:44: error: the log file \"/var/log/audit.log\" cannot be written: Permission denied\n"))
        #expect(output.standardError.hasSuffix("gateway.conf: 1 error\n"))
    }

    @Test func `says which file cannot be read`() throws {
        let result = ConfigurationSource.reading("/nowhere/gateway.conf", environment: [:])
        guard case .failure(let diagnostic) = result else {
            Issue.record("it was read")
            return
        }
        #expect(
            diagnostic.description == """
                /nowhere/gateway.conf: error: the file cannot be read: No such file or directory
                    name the file with --config or GATEWAY_CONFIG
                """)
    }
}

@Suite struct `A reload` {
    @Test func `names the changes that need a restart`() {
        let start = load(minimal + "login: {limit: 5}\nredis: {password_file: /run/redis}\n", files: password("one"))
        let same = load(minimal + "login: {limit: 6}\nredis: {password: one}\n")
        #expect(same.diagnostics == [])
        #expect(same.changesNeedingRestart(since: start) == [])
        let other = load(minimal + "workers: 2\nredis: {password_file: /run/redis}\n", files: password("two"))
        #expect(other.changesNeedingRestart(since: start) == ["redis.password", "workers"])
        #expect(load(minimal).changesNeedingRestart(since: start).contains("redis.address"))
    }

    private func password(_ text: String) -> [String: FileAccess.File] { ["/run/redis": file(text, mode: 0o600)] }
}

@Suite struct `Files of the system` {
    @Test func `are read with their permissions, relative to gateway.conf`() throws {
        var template = Array("/tmp/gateway-settings-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer {
            unlink(directory + "/secret")
            rmdir(directory)
        }
        let descriptor = open(directory + "/secret", O_CREAT | O_WRONLY, 0o600)
        let secret = String(repeating: "s", count: 40)
        try #require(write(descriptor, secret, 40) == 40)
        close(descriptor)
        let text = minimal + "tokens: {keys: [{id: main, secret_file: secret}]}\n"
        let source = ConfigurationSource(path: directory + "/gateway.conf", contents: Array(text.utf8))

        let configuration = try #require(Configuration.load(source).configuration)
        #expect(configuration.stateDirectory == directory + "/state")
        #expect(configuration.admin.socketPath == directory + "/state/admin.sock")
        #expect(Configuration.load(source).directoryDiagnostics() == [])

        try #require(chmod(directory + "/secret", 0o604) == 0)
        #expect(
            Configuration.load(source).diagnostics.map(\.message) == [
                "the secret file \"secret\" can be read by every user of this machine"
            ])
        var tolerant = source
        tolerant.contents += Array("allow_world_readable_secrets: true\n".utf8)
        #expect(Configuration.load(tolerant).diagnostics == [])
    }

    @Test func `are not directories, and not larger than 1 MiB`() {
        #expect(FileAccess.system.read("/tmp").failure == .init("Is a directory"))
        #expect(FileAccess.system.read("/dev/zero").failure == .init("It is larger than 1 MiB"))
    }

    @Test(arguments: [("a", "."), ("a/b", "a"), ("/a", "/"), ("/a/b/", "/a"), ("/", "/")])
    func `stand in a directory`(_ path: String, _ directory: String) {
        #expect(parentDirectory(of: path) == directory)
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
