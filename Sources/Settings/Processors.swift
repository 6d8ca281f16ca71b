internal import Glibc

/// Processors this process may run on, 1 to 64. The affinity mask, which containers and `taskset` narrow, is read from
/// /proc: glibc's functions for it are hidden behind _GNU_SOURCE.
func processorCount(_ files: FileAccess = .system) -> Int {
    var count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    if case .success(let status) = files.read("/proc/self/status") {
        let lines = String(decoding: status.bytes, as: UTF8.self).split(separator: "\n")
        if let mask = lines.first(where: { $0.hasPrefix("Cpus_allowed:") })?.split(separator: "\t").last {
            count = mask.reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        }
    }
    return min(64, max(1, count))
}
