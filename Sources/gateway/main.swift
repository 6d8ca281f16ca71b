internal import GatewayCore
internal import Glibc

if CommandLine.arguments.dropFirst().first == "run" { EarlySignals.hold() }

// `environ` belongs to the main thread, and there is no other one yet.
var environment: [String: String] = [:]
var entry = environ
while let line = entry.pointee {
    let parts = String(cString: line).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    environment[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
    entry += 1
}
let program = CommandLine.arguments.first ?? "gateway"
exit(Program.run(Array(CommandLine.arguments.dropFirst()), as: program, environment: environment).rawValue)
