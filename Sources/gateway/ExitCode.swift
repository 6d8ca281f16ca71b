/// What the command returns, in the numbers of sysexits.h. `gateway help` and docs/exit-codes.md tell the same.
enum ExitCode: Int32, CaseIterable, Sendable {
    case ok = 0
    case failed = 1
    case usage = 64
    case unreachable = 69
    case system = 71
    case configuration = 78

    var meaning: String {
        switch self {
        case .ok: "all went well"
        case .failed: "the gateway was reached, and refused or failed to do what was asked"
        case .usage: "the command line makes no sense"
        case .unreachable: "no gateway answers on the admin socket"
        case .system: "the system refused something: a port in use, a file that cannot be written, too few open files"
        case .configuration: "the configuration has mistakes"
        }
    }
}

/// Ends a command, with a sentence for standard error.
struct CommandFailure: Error, Hashable {
    var code: ExitCode
    var message: String

    init(_ code: ExitCode, _ message: String) {
        self.code = code
        self.message = message
    }
}
