internal import Policy
package import Settings
internal import Telemetry
internal import Transport

/// What the control thread knows of limits that the host sets, and of how near they are.
extension Gateway {
    /// Said at start and after a reload: a limit that is not reached is a surprise when it is needed.
    func reportRoom() {
        guard configuration.isShort(generation.room) else { return }
        log.log(
            .warning, "limits.connections_lowered",
            "The process may not open enough files for limits.connections; fewer connections are taken",
            [
                ("limit", .number(configuration.limits.connections)), ("room", .number(generation.room.connections)),
                ("open_files", .number(HostLimits.descriptors)),
                ("needed", .number(Room.descriptorsNeeded(by: configuration))),
            ])
    }

    /// Before anything is opened: a process that runs out of descriptors on its way would end there, or serve nobody.
    static func demandDescriptors(for configuration: Configuration) throws(StartFailure) {
        let least = Room.leastDescriptors(for: configuration)
        guard HostLimits.descriptors < least else { return }
        throw StartFailure(
            description: "a process may open \(HostLimits.descriptors) files here, and \(least) are needed at least; "
                + "raise the limit of open files (LimitNOFILE of systemd, ulimit -Hn), or lower \"workers\"")
    }

    /// Told when it begins and when it is over, not for every connection.
    func watchPressure() {
        let room = generation.room
        tell(.connections, used: openConnections, limit: room.connections)
        tell(.memory, used: shared.bufferedBytes, limit: room.memory)
    }

    private func tell(_ what: Pressure, used: Int, limit: Int) {
        guard let began = pressure.look(what, used: used, limit: limit) else { return }
        let fields: [(String, LogValue)] = [
            ("what", .text(what.rawValue)), ("used", .number(used)), ("limit", .number(limit)),
        ]
        if began {
            log.log(.warning, "pressure.began", "Nearly all that there is room for is used", fields)
        } else {
            log.log(.info, "pressure.ended", "There is room again", fields)
        }
    }
}

extension Configuration {
    /// What this host has room for under this configuration.
    var room: Room { Room(self, descriptors: HostLimits.descriptors, memory: HostLimits.memory) }

    /// Whether the room is so much less than what was asked for that somebody should know. A few connections fewer than
    /// the default are nobody's concern.
    func isShort(_ room: Room) -> Bool { room.connections < limits.connections - limits.connections / 10 }
}

/// What `gateway check` can say of this host.
package enum HostCheck {
    package static func diagnostics(_ result: LoadResult) -> [Diagnostic] {
        guard let configuration = result.configuration else { return [] }
        let room = configuration.room
        guard configuration.isShort(room) else { return [] }
        var diagnostic = result.diagnostic(
            at: "limits.connections",
            "there is room for \(room.connections) connections only: a process may open \(HostLimits.descriptors) files "
                + "here, and \(Room.descriptorsNeeded(by: configuration)) are needed",
            hint: "raise the limit of open files (LimitNOFILE of systemd, ulimit -Hn), or lower \"limits.connections\"")
        diagnostic?.severity = .warning
        return [diagnostic].compactMap(\.self)
    }
}
