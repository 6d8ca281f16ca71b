import Foundation
import Glibc
import Testing

@testable import Ledger

/// A redis-server of the test's own, on a Unix socket in a directory of its own, ended by its process id.
final class RedisServer {
    private static let candidates = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/bin/redis-server"]
    static let program = candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    static var isInstalled: Bool { program != nil }

    let directory = TemporaryDirectory()
    let socket: String
    private let options: [String]
    private var process: Process?

    /// - Parameter isStarted: False: the server comes later, or never.
    init(isStarted: Bool = true, options: [String] = []) throws {
        socket = directory.path + "/redis.sock"
        self.options = options
        if isStarted { try start() }
    }

    deinit { kill() }

    func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: RedisServer.program!)
        process.arguments =
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", "", "--loglevel", "warning"]
            + options
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        let end = Date(timeIntervalSinceNow: 10)
        // With a password it answers NOAUTH, which is an answer.
        while try command("PING").isEmpty {
            try #require(Date() < end, "redis-server does not answer")
            usleep(5_000)
        }
    }

    /// As `kill -9`: nothing is saved, nobody is told.
    func kill() {
        guard let process else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    func freeze() { Glibc.kill(process!.processIdentifier, SIGSTOP) }
    func thaw() { Glibc.kill(process!.processIdentifier, SIGCONT) }

    /// What `redis-cli` prints.
    @discardableResult
    func command(_ arguments: String...) throws -> String { try command(arguments) }

    func command(_ arguments: [String]) throws -> String {
        let client = Process()
        client.executableURL = URL(
            fileURLWithPath: RedisServer.program!.replacingOccurrences(of: "redis-server", with: "redis-cli"))
        client.arguments = ["-s", socket] + arguments
        let output = Pipe()
        client.standardOutput = output
        client.standardError = FileHandle.nullDevice
        try client.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        client.waitUntilExit()
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func integer(_ arguments: String...) throws -> Int {
        let text = try command(arguments)
        return try #require(Int(text), "\(arguments) gave \(text)")
    }
}
