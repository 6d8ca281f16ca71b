import Glibc
import Testing
import Wire

/// A redis-server of the test's own, on a Unix socket in a directory of its own, ended by its process id.
final class RedisServer {
    private static let directories = ["/usr/bin", "/usr/local/bin", "/bin"]
    private static let home = directories.first { access($0 + "/redis-server", X_OK) == 0 }
    static var isInstalled: Bool { home != nil }

    let directory = TemporaryDirectory()
    let socket: String
    private let options: [String]
    private var process: pid_t?

    /// - Parameter isStarted: False: the server comes later, or never.
    init(isStarted: Bool = true, options: [String] = []) throws {
        socket = directory.path + "/redis.sock"
        self.options = options
        if isStarted { try start() }
    }

    deinit { kill() }

    func start() throws {
        let arguments =
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", "", "--loglevel", "warning"]
            + options
        process = try RedisServer.spawn("redis-server", arguments, output: nil)
        let end = Instant.now() + .seconds(30)
        // With a password it answers NOAUTH, which is an answer.
        while try command("PING").isEmpty {
            try #require(Instant.now() < end, "redis-server does not answer")
            usleep(5_000)
        }
    }

    /// As `kill -9`: nothing is saved, nobody is told.
    func kill() {
        guard let process else { return }
        Glibc.kill(process, SIGKILL)
        waitpid(process, nil, 0)
        self.process = nil
    }

    func freeze() { Glibc.kill(process!, SIGSTOP) }
    func thaw() { Glibc.kill(process!, SIGCONT) }

    /// What `redis-cli` prints, without the last line's end.
    @discardableResult
    func command(_ arguments: String...) throws -> String { try command(arguments) }

    func command(_ arguments: [String]) throws -> String {
        let file = directory.path + "/answer"
        let client = try RedisServer.spawn("redis-cli", ["-s", socket] + arguments, output: file)
        waitpid(client, nil, 0)
        var output = contents(of: file)
        while let last = output.last, last == 10 || last == 13 || last == 32 { output.removeLast() }
        return String(decoding: output, as: UTF8.self)
    }

    func integer(_ arguments: String...) throws -> Int {
        let text = try command(arguments)
        return try #require(Int(text), "\(arguments) gave \(text)")
    }

    /// Standard error goes nowhere, and so does standard output when nobody reads it.
    private static func spawn(_ program: String, _ arguments: [String], output: String?) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let path = home! + "/" + program
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        let result = posix_spawn(&process, path, &actions, nil, &words, environ)
        try #require(result == 0, "\(path) cannot be started")
        return process
    }
}
