internal import GatewayCore
internal import Glibc
internal import Settings

func environment() -> [String: String] {
    var environment: [String: String] = [:]
    var entry = environ
    while let line = entry.pointee {
        let parts = String(cString: line).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        environment[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        entry += 1
    }
    return environment
}
func load() -> LoadResult {
    switch ConfigurationSource.reading(CommandLine.arguments.last!, environment: environment()) {
    case .success(let source): return Configuration.load(source)
    case .failure(let d): fatalError("\(d)")
    }
}
let result = load()
for d in result.diagnostics { print("\(d)\n") }
guard let configuration = result.configuration else { exit(78) }
do {
    let gateway = try Gateway(configuration, path: CommandLine.arguments.last!, reload: load)
    gateway.run()
} catch {
    print("\(error)\n")
    exit(71)
}
