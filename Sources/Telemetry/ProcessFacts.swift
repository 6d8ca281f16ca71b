internal import Glibc

/// What the kernel says of this process.
struct ProcessFacts {
    var residentBytes: Int?
    var openDescriptors: Int?

    /// Reads /proc, which never waits for a disk.
    static func now() -> ProcessFacts {
        ProcessFacts(residentBytes: readResidentBytes(), openDescriptors: countDescriptors())
    }

    /// The second number of statm, in pages.
    private static func readResidentBytes() -> Int? {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let fields = String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func countDescriptors() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // The one that the directory is read through.
        return count - 1
    }
}
