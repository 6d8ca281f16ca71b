import Foundation
import Testing
import Wire

@testable import Telemetry

/// A directory of its own for one test, removed with it.
final class Workshop {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "/telemetry-" + UUID().uuidString
        guard mkdir(path, 0o700) == 0 else { preconditionFailure("no directory for a test at \(path)") }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func text(_ name: String) -> String { (try? String(contentsOfFile: file(name), encoding: .utf8)) ?? "" }

    func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }

    /// What a shell command prints, run in the directory.
    func shell(_ command: String) throws -> (output: String, status: Int32) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", command]
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (String(decoding: data, as: UTF8.self), process.terminationStatus)
    }
}

/// Whether a program that a test wants is installed.
func isInstalled(_ program: String) -> Bool {
    let places = ["/usr/bin/", "/usr/local/bin/", "/bin/"]
    return places.contains { FileManager.default.isExecutableFile(atPath: $0 + program) }
}

func object(_ line: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
}

/// What a writer's body wrote.
func written(_ body: (inout LineWriter) -> Void) -> String {
    String(decoding: jsonBytes(capacity: 4_096, body), as: UTF8.self)
}

func targets(access: LogTarget = .off, audit: LogTarget = .off, operational: LogTarget = .off) -> LogTargets {
    LogTargets(access: access, audit: audit, operational: operational)
}

let noon = WallTime(milliseconds: 1_795_262_400_123)  // 2026-11-21T12:00:00.123Z
