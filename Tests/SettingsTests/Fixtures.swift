import Testing
import Wire

@testable import Settings

/// The bytes of a file of this repository.
func repositoryFile(_ name: String, from here: String = #filePath) throws -> [UInt8] {
    let root = here.split(separator: "/").dropLast(3).joined(separator: "/")
    return try FileAccess.system.read("/\(root)/\(name)").get().bytes
}

/// A file system in memory. What is not in it does not exist.
func filesInMemory(_ files: [String: FileAccess.File]) -> FileAccess {
    FileAccess(read: { path in
        files[path].map { .success($0) } ?? .failure(.init("No such file or directory"))
    })
}

/// Loads `text` as gateway.conf.
func load(
    _ text: String, _ environment: [String: String] = [:], files: [String: FileAccess.File] = [:]
) -> LoadResult {
    Configuration.load(
        .init(
            path: "gateway.conf", contents: Array(text.utf8), environment: environment, files: filesInMemory(files)))
}

/// The smallest file without a finding, to put other settings before.
let minimal = """
    upstreams: {api: {servers: ["127.0.0.1:9000"]}}
    routes: [{path: /, upstream: api, auth: none}]

    """
