import FuzzTargets
import Glibc
import Settings
import Testing

/// Every input that is kept for a target, without the fuzzer: what was found once stays mended, and a property that good
/// inputs break is a wrong one.
@Suite struct `The inputs of the fuzzer` {
    @Test(arguments: FuzzTargets.all.map { $0.name })
    func `break no property`(name: String) throws {
        let target = try #require(FuzzTargets.named(name))
        let inputs = try Self.inputs(of: name)
        #expect(inputs.count >= 10, "a target has inputs to begin with")
        for (file, input) in inputs {
            do throws(Finding) {
                try target.check(input)
            } catch {
                Issue.record("\(file): it does not hold that \(error)")
            }
        }
    }

    /// The ends of inputs are where readers run over.
    @Test(arguments: FuzzTargets.all.map { $0.name })
    func `break none when they are cut off`(name: String) throws {
        let target = try #require(FuzzTargets.named(name))
        for (file, input) in try Self.inputs(of: name) {
            for length in [0, 1, 2, 3, input.count / 2, max(0, input.count - 1)] {
                do throws(Finding) {
                    try target.check(Array(input.prefix(length)))
                } catch {
                    Issue.record("\(length) bytes of \(file): it does not hold that \(error)")
                }
            }
        }
    }

    @Test func `belong to targets that exist`() throws {
        let names = Set(FuzzTargets.all.map { $0.name })
        #expect(names.count == FuzzTargets.all.count)
        #expect(Set(try Self.names(in: Self.corpus)) == names)
    }

    @Test(arguments: FuzzTargets.all.map { $0.name })
    func `are explained`(name: String) throws {
        let page = try FileAccess.system.read("\(Self.root)/docs/fuzzing.md").get().bytes
        #expect(String(decoding: page, as: UTF8.self).contains("\n| `\(name)` |"), "docs/fuzzing.md has a row of it")
    }

    private static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        .joined(separator: "/")
    private static let corpus = "\(root)/Tests/Fuzzing/corpus"

    private static func inputs(of target: String) throws -> [(file: String, bytes: [UInt8])] {
        try names(in: "\(corpus)/\(target)").map { name in
            let path = "\(corpus)/\(target)/\(name)"
            return (path, try FileAccess.system.read(path).get().bytes)
        }
    }

    private static func names(in folder: String) throws -> [String] {
        let directory = try #require(opendir(folder), "no folder \(folder)")
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}
