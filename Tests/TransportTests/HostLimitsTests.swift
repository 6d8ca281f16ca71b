import Foundation
import Testing

@testable import Transport

@Suite struct `The limits of the host` {
    private let root = FileManager.default.temporaryDirectory.appending(path: "cgroup-\(UUID().uuidString)")

    private func write(_ text: String, _ path: String) throws {
        let file = root.appending(path: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    private func memory(_ membership: String) throws -> Int? {
        try write(membership, "membership")
        defer { try? FileManager.default.removeItem(at: root) }
        return HostLimits.groupMemory(membership: root.path + "/membership", root: root.path)
    }

    @Test func `are the least of the groups around the process`() throws {
        try write("max\n", "system/gateway/memory.max")
        try write("536870912\n", "system/memory.max")
        try write("1073741824\n", "memory.max")
        #expect(try memory("0::/system/gateway\n") == 536_870_912)
    }

    @Test func `are those of the root of a container`() throws {
        try write("268435456\n", "memory.max")
        #expect(try memory("12:cpu:/x\n0::/\n") == 268_435_456)
    }

    @Test func `are none where no group has one`() throws {
        try write("max\n", "a/memory.max")
        #expect(try memory("0::/a\n") == nil)
        #expect(try memory("3:memory:/a\n") == nil)
    }

    @Test func `leave descriptors and memory to work with`() {
        #expect(HostLimits.descriptors >= 256)
        #expect(HostLimits.memory >= 64 << 20)
    }
}
