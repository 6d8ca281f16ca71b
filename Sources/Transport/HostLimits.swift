internal import CLibevent
internal import Glibc

/// What the system allows this process.
package enum HostLimits {
    /// Descriptors that the process may have open after `raiseDescriptors`.
    package static var descriptors: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return leastDescriptors }
        return Int(clamping: limit.rlim_max)
    }

    /// POSIX promises no fewer (`_POSIX_OPEN_MAX` is 20; every Linux has 1,024).
    private static let leastDescriptors = 1_024

    /// Shells and supervisors set the soft limit low for the sake of programs that use select(2); this one does not, so it
    /// takes what the hard limit allows.
    package static func raiseDescriptors() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Bytes that the process may use: the least of the machine's memory and the limits of its control group and of those
    /// around it.
    package static var memory: Int {
        let pages = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let group = groupMemory(membership: "/proc/self/cgroup", root: "/sys/fs/cgroup")
        return min(pages > 0 ? pages : Int.max, group ?? Int.max)
    }

    /// The least `memory.max` from the process's control group (version 2) up to the root; nil: none is limited.
    /// - Parameters:
    ///   - membership: a file like /proc/self/cgroup, with a line `0::/path`.
    ///   - root: where the groups are mounted.
    static func groupMemory(membership: String, root: String) -> Int? {
        let line = text(membership)?.split(separator: "\n").first { $0.hasPrefix("0::/") }
        guard let line else { return nil }
        var names = line.dropFirst("0::/".count).split(separator: "/").map(String.init)
        var least: Int?
        while true {
            let path = ([root] + names).joined(separator: "/") + "/memory.max"
            // `max` is no number, and the root has no such file.
            if let limit = text(path).flatMap({ Int($0.prefix { $0 != "\n" }) }) { least = min(least ?? limit, limit) }
            if names.popLast() == nil { return least }
        }
    }

    /// The beginning of a small file of the kernel's; nil when it cannot be read.
    private static func text(_ path: String) -> String? {
        let descriptor = shim_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
}
