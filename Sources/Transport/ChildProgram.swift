internal import CLibevent
internal import Glibc

/// Another program, started by this process with descriptors of its.
package enum ChildProgram {
    /// How a process ended.
    package enum End: Hashable, Sendable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)

        package var description: String {
            switch self {
            case .exited(let code): "it ended with exit code \(code)"
            case .killed(let signal): "it was ended by signal \(signal)"
            }
        }
    }

    /// Starts it, looked up anew as a shell does. It has `descriptors` from 3 on, in this order, our standard input,
    /// output and error, and nothing else of ours; no signal is blocked or ignored in it.
    /// - Parameter commandLine: The program's name and its arguments; not empty.
    /// - Returns: Its id. A program that is not there or cannot be run is told at once.
    package static func start(
        _ commandLine: [String], environment: [String: String], descriptors: [Int32]
    ) -> Result<Int32, SystemError> {
        let first = InheritedDescriptors.first
        // A number that one descriptor is to have may be another one's now: all go out of the way first.
        var moved: [Int32] = []
        defer { for descriptor in moved { close(descriptor) } }
        for descriptor in descriptors {
            let copy = shim_fcntl(descriptor, F_DUPFD_CLOEXEC, first + Int32(descriptors.count))
            guard copy >= 0 else { return .failure(SystemError("dup", errno)) }
            moved.append(copy)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (place, descriptor) in moved.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, first + Int32(place))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var every = sigset_t()
        sigemptyset(&none)
        sigfillset(&every)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &every)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var process: pid_t = 0
        let result = withCStrings(commandLine) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                posix_spawnp(&process, arguments[0]!, &actions, &attributes, arguments, variables)
            }
        }
        guard result == 0 else { return .failure(SystemError(commandLine[0], result)) }
        return .success(process)
    }

    /// Nil while it runs. Once it is told, the id is free and may be another process's.
    package static func end(of process: Int32) -> End? {
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return nil }
        // The macros of wait(2): the low seven bits are the signal, the second byte the code.
        return status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: status & 0x7f)
    }

    /// Calls `body` with the strings as C has them, with a null behind the last.
    private static func withCStrings<Value>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return (copies + [nil]).withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}

extension StreamSocket {
    /// Two that are connected to each other; the caller's to close.
    package static func pair() -> Result<(StreamSocket, StreamSocket), SystemError> {
        var descriptors: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &descriptors) == 0 else { return .failure(SystemError("socketpair", errno)) }
        return .success((StreamSocket(descriptor: descriptors[0]), StreamSocket(descriptor: descriptors[1])))
    }

    /// One that another process has made for us. Nil, and closed, when it is no connected stream socket.
    package static func adopting(_ descriptor: Int32) -> StreamSocket? {
        var type: Int32 = 0
        guard shim_get_int_option(descriptor, SOL_SOCKET, SO_TYPE, &type) == 0, type == Int32(SOCK_STREAM.rawValue),
            shim_fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else {
            CLibevent.close(descriptor)
            return nil
        }
        return StreamSocket(descriptor: descriptor)
    }
}
