/// What the environment says of the descriptors that the process was started with, in the words of sd_listen_fds(3).
package struct InheritedDescriptors: Hashable, Sendable {
    /// Variables that speak of them cannot be understood. Nothing is guessed: a descriptor taken for another one would
    /// serve the wrong port.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// Who started this process.
    package enum Origin: Hashable, Sendable {
        /// A service manager, which keeps the sockets beyond our end.
        case supervisor
        /// A gateway that we are to take over from.
        case predecessor
    }

    package var origin: Origin
    /// One for each descriptor, the first of which is 3.
    package var names: [String]

    package static let first: Int32 = 3
    /// Beyond every limit of open files that a listener makes sense with.
    static let most = 4_096
    /// Names the predecessor's process and the form of what is said between the two.
    package static let handoverVariable = "GATEWAY_HANDOVER"
    package static let handoverForm = "4"
    package static let variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", handoverVariable]
    /// Of a descriptor that its giver did not name (sd_listen_fds_with_names(3)).
    private static let noName = "unknown"

    /// Nil: there are none, or they are for another process, whose environment was only handed on.
    /// - Parameters:
    ///   - process: Our own id.
    ///   - parent: That of whoever started us.
    package static func read(
        _ environment: [String: String], process: Int32, parent: Int32
    ) throws(Fault) -> InheritedDescriptors? {
        guard let count = environment["LISTEN_FDS"] else { return nil }
        let origin: Origin
        if let handover = environment[handoverVariable] {
            let parts = handover.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == handoverForm else {
                throw Fault(
                    description: "\(handoverVariable) is \"\(handover)\": the running gateway hands over in another way"
                )
            }
            guard let number = Int32(parts[1]), number == parent else {
                throw Fault(
                    description: "\(handoverVariable) is \"\(handover)\", but the process that started this one is "
                        + "\(parent): start the gateway's program itself, without one between")
            }
            origin = .predecessor
        } else {
            guard let text = environment["LISTEN_PID"] else { return nil }
            guard let number = Int32(text), number > 0 else {
                throw Fault(description: "LISTEN_PID is \"\(text)\", which is no process id")
            }
            guard number == process else { return nil }
            origin = .supervisor
        }
        guard let number = Int(count), (0...most).contains(number) else {
            throw Fault(description: "LISTEN_FDS is \"\(count)\", which is no number from 0 to \(most)")
        }
        guard let list = environment["LISTEN_FDNAMES"], !list.isEmpty || number == 1 else {
            return InheritedDescriptors(origin: origin, names: Array(repeating: noName, count: number))
        }
        let names = list.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard names.count == number else {
            throw Fault(
                description: "LISTEN_FDNAMES has \(names.count) names (\"\(list)\"), and LISTEN_FDS says \(number)")
        }
        return InheritedDescriptors(origin: origin, names: names)
    }
}
