import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The log writer` {
    let workshop = Workshop()

    private func writer(_ targets: LogTargets, spill: String? = nil) throws -> LogWriter {
        try LogWriter(targets, spillPath: spill.map(workshop.file))
    }

    private func audit(_ writer: LogWriter, _ numbers: Range<Int>) {
        let log = AuditLog(writer, startedAt: noon)
        for number in numbers {
            var event = AuditEvent(.authenticationFailed(reason: "invalid_token", token: nil))
            event.requestID = "request-\(number)"
            log.record(event, at: noon)
        }
    }

    private func requestNumbers(_ lines: [String]) throws -> [String] {
        try lines.map { try #require((object($0)["context"] as? [String: Any])?["request_id"] as? String) }
    }

    /// A named pipe and its reading end, which is read only when the test says so.
    private func pipe(_ name: String) throws -> Int32 {
        let path = workshop.file(name)
        try #require(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        try #require(reader >= 0)
        return reader
    }

    /// Closes the reading end and waits until nobody has it: another test may be starting a program in this moment, which
    /// has a copy of all descriptors until it is running.
    private func endReading(_ reader: Int32, of name: String) throws {
        close(reader)
        let limit = Instant.now() + .seconds(60)
        while true {
            let writer = open(workshop.file(name), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if writer < 0, errno == ENXIO { return }
            close(writer)
            try #require(Instant.now() < limit, "\(name) still has a reader")
            usleep(1_000)
        }
    }

    private func readAll(_ descriptor: Int32) -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return all }
            all += buffer.prefix(count)
        }
    }

    private func lines(_ bytes: [UInt8]) -> [String] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func `writes without being asked, and wakes from a long sleep`() throws {
        let writer = try writer(targets(access: .file(path: workshop.file("access.log"))))
        let log = AccessLog(writer.accessChannel())
        for expected in 1...2 {
            // Longer than a round, so that the thread has gone to sleep.
            usleep(450_000)
            SampleExchange().append(to: log)
            let limit = Instant.now() + .seconds(30)
            while workshop.lines("access.log").count < expected, Instant.now() < limit { usleep(5_000) }
            #expect(workshop.lines("access.log").count == expected)
        }
        writer.stop()
    }

    @Test func `opens the files anew after a rotation`() throws {
        let path = workshop.file("access.log")
        let writer = try writer(targets(access: .file(path: path)))
        let log = AccessLog(writer.accessChannel())
        var exchange = SampleExchange()
        exchange.path = "/before"
        exchange.append(to: log)
        #expect(writer.drain())
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        // Belongs to the old file, which is still open.
        exchange.path = "/between"
        exchange.append(to: log)
        #expect(writer.drain())
        writer.reopen()
        #expect(writer.drain())
        exchange.path = "/after"
        exchange.append(to: log)
        writer.stop()
        #expect(
            try workshop.lines("access.log.1").map { try object($0)["path"] as? String } == ["/before", "/between"])
        #expect(try workshop.lines("access.log").map { try object($0)["path"] as? String } == ["/after"])
    }

    @Test func `keeps the old file where the new one cannot be opened, and says so`() throws {
        let directory = workshop.file("logs")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        let wanted = targets(
            access: .file(path: directory + "/access.log"), operational: .file(path: workshop.file("gateway.log")))
        let writer = try writer(wanted)
        let log = AccessLog(writer.accessChannel())
        try FileManager.default.moveItem(atPath: directory, toPath: directory + ".old")
        writer.reopen()
        SampleExchange().append(to: log)
        writer.stop()
        #expect(workshop.lines("logs.old/access.log").count == 1)
        let reports = try workshop.lines("gateway.log").map { try object($0) }
        #expect(reports.map { $0["event"] as? String } == ["log.open_failed"])
        #expect(reports.first?["error"] as? String == "No such file or directory")
        #expect(writer.statistics.writeErrors == [1, 0, 0])
    }

    @Test func `drops access lines that find no room, counts them, and keeps the others whole`() throws {
        let reader = try pipe("access.pipe")
        defer { close(reader) }
        let writer = try writer(targets(access: .file(path: workshop.file("access.pipe"))))
        let log = AccessLog(writer.accessChannel(bytes: 1 << 14))
        for _ in 0..<1_000 {
            SampleExchange().append(to: log)
            // Gives the disk thread the chance to fill the pipe as well.
            if Int.random(in: 0..<20) == 0 { usleep(1_000) }
        }
        #expect(!writer.drain(withinMilliseconds: 300))
        let dropped = writer.statistics.dropped[LogKind.access.rawValue]
        #expect(dropped > 0)
        var bytes = readAll(reader)
        let limit = Instant.now() + .seconds(30)
        while lines(bytes).count + dropped < 1_000, Instant.now() < limit {
            usleep(10_000)
            bytes += readAll(reader)
        }
        writer.stop()
        bytes += readAll(reader)
        let kept = lines(bytes)
        #expect(kept.count + dropped == 1_000)
        for line in kept { #expect(try object(line)["status"] as? Int == 200) }
    }

    @Test func `keeps audit lines on disk while theirs is full, and plays them back at the next start`() throws {
        let full = try writer(
            targets(audit: .file(path: "/dev/full"), operational: .file(path: workshop.file("gateway.log"))),
            spill: "audit.spill")
        audit(full, 0..<3)
        #expect(!full.drain(withinMilliseconds: 100))
        full.stop(withinMilliseconds: 50)
        #expect(full.statistics.dropped == [0, 0, 0])
        #expect(full.statistics.spilled == 3)
        #expect(full.statistics.writeErrors[LogKind.audit.rawValue] > 0)
        #expect(try requestNumbers(workshop.lines("audit.spill")) == ["request-0", "request-1", "request-2"])
        #expect(try workshop.lines("gateway.log").map { try object($0)["event"] as? String } == ["log.write_failed"])

        let working = try writer(targets(audit: .file(path: workshop.file("audit.log"))), spill: "audit.spill")
        #expect(working.drain())
        audit(working, 3..<5)
        working.stop()
        let expected = (0..<5).map { "request-\($0)" }
        #expect(try requestNumbers(workshop.lines("audit.log")) == expected)
        #expect(workshop.text("audit.spill") == "")
    }

    @Test func `leaves the spill file to the process that has it, and takes it over at its end`() throws {
        func append(_ text: String, to spill: AuditSpill) -> Bool {
            Array(text.utf8).withUnsafeBytes { spill.append($0) }
        }
        let former = AuditSpill(path: workshop.file("audit.spill"))
        #expect(append("1\n", to: former))
        let next = AuditSpill(path: workshop.file("audit.spill"))
        #expect(next.isHeldElsewhere && next.isEmpty)
        #expect(!append("2\n", to: next))
        next.look()
        #expect(next.isHeldElsewhere)
        former.letGo()
        next.look()
        #expect(!next.isHeldElsewhere && !next.isEmpty)
        #expect(append("2\n", to: next))
        var played = ""
        next.playBack {
            played += String(decoding: $0, as: UTF8.self)
            return $0.count
        }
        #expect(played == "1\n2\n")
    }

    @Test func `spills in order what memory has no room for`() throws {
        let reader = try pipe("audit.pipe")
        defer { close(reader) }
        let writer = try LogWriter(
            targets(audit: .file(path: workshop.file("audit.pipe"))), spillPath: workshop.file("audit.spill"),
            queueLimit: 1 << 16)
        let count = 1_000
        audit(writer, 0..<count)
        #expect(!writer.drain(withinMilliseconds: 200))
        #expect(writer.statistics.spilled > 0)
        var bytes: [UInt8] = []
        let limit = Instant.now() + .seconds(60)
        while bytes.count(where: { $0 == 10 }) < count, Instant.now() < limit {
            bytes += readAll(reader)
            // Any message wakes the thread before its round is over.
            writer.drain(withinMilliseconds: 1)
        }
        writer.stop()
        #expect(writer.statistics.dropped == [0, 0, 0])
        let numbers = lines(bytes).map { line in line.components(separatedBy: "request-")[1].prefix { $0.isNumber } }
        #expect(numbers.map { Int($0) } == (0..<count).map { $0 })
        #expect(workshop.text("audit.spill") == "")
    }

    @Test func `lives on when the reader of a pipe has gone, reports it once and keeps the audit lines`() throws {
        let accessReader = try pipe("access.pipe")
        let auditReader = try pipe("audit.pipe")
        let writer = try writer(
            targets(
                access: .file(path: workshop.file("access.pipe")), audit: .file(path: workshop.file("audit.pipe")),
                operational: .file(path: workshop.file("gateway.log"))), spill: "audit.spill")
        let log = AccessLog(writer.accessChannel())
        #expect(writer.drain())
        try endReading(accessReader, of: "access.pipe")
        try endReading(auditReader, of: "audit.pipe")
        for round in 0..<3 {
            SampleExchange().append(to: log)
            audit(writer, round..<round + 1)
            #expect(writer.drain())
        }
        writer.stop()
        #expect(writer.statistics.dropped == [3, 0, 0])
        #expect(try requestNumbers(workshop.lines("audit.spill")) == ["request-0", "request-1", "request-2"])
        let reports = try workshop.lines("gateway.log").map { try object($0) }
        #expect(reports.count == 2)
        #expect(Set(reports.compactMap { $0["error"] as? String }) == ["Broken pipe"])
    }

    @Test func `counts audit lines as lost where nothing can keep them`() throws {
        let writer = try writer(targets(audit: .file(path: "/dev/full")))
        audit(writer, 0..<4)
        writer.stop(withinMilliseconds: 50)
        #expect(writer.statistics.dropped == [0, 4, 0])
    }

    @Test func `never mixes the lines of two logs that share a file`() throws {
        let file = LogTarget.file(path: workshop.file("all.log"))
        let writer = try writer(targets(access: file, audit: file, operational: file))
        let log = AccessLog(writer.accessChannel())
        let operational = OperationalLog(writer, level: .info)
        for round in 0..<500 {
            SampleExchange().append(to: log)
            audit(writer, round..<round + 1)
            operational.log(.info, "test", "line \(round)")
        }
        writer.stop()
        let events = try workshop.lines("all.log").map { try object($0)["service"] as? String }
        #expect(events.count == 1_500)
        #expect(events.count { $0 == "audit" } == 500)
    }

    @Test func `takes the lines of several workers at once`() async throws {
        let writer = try writer(targets(access: .file(path: workshop.file("access.log"))))
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<3 {
                let channel = writer.accessChannel(bytes: 1 << 16)
                group.addTask {
                    let log = AccessLog(channel)
                    var exchange = SampleExchange()
                    exchange.requestID = "worker-\(worker)"
                    for _ in 0..<4_000 { exchange.append(to: log) }
                }
            }
        }
        writer.stop()
        let written = workshop.lines("access.log")
        #expect(written.count + writer.statistics.dropped[LogKind.access.rawValue] == 12_000)
        for line in written { #expect(line.hasPrefix("{\"timestamp\"") && line.hasSuffix("\"user_id\":\"alice\"}")) }
    }

    @Test func `names the file that cannot be opened`() {
        let path = workshop.file("missing/access.log")
        #expect(throws: LogFault(path: path, errorNumber: ENOENT)) {
            try writer(targets(access: .file(path: path)))
        }
        #expect(
            LogFault(path: "/x", errorNumber: ENOENT).description == "cannot open the log /x: No such file or directory"
        )
    }

    @Test func `goes over to other targets`() throws {
        let writer = try writer(targets())
        let log = AccessLog(writer.accessChannel())
        #expect(!log.isOn)
        SampleExchange().append(to: log)
        writer.retarget(targets(access: .file(path: workshop.file("access.log"))))
        #expect(writer.drain())
        #expect(log.isOn)
        SampleExchange().append(to: log)
        writer.stop()
        #expect(workshop.lines("access.log").count == 1)
    }
}
