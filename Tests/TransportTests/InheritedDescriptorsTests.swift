import Glibc
import Testing

@testable import Transport
@testable import Wire

@Suite struct `Descriptors that a process was started with` {
    private func read(_ environment: [String: String]) throws -> InheritedDescriptors? {
        try InheritedDescriptors.read(environment, process: 100, parent: 99)
    }

    @Test func `have the names that the service manager gives them`() throws {
        let found = try read(["LISTEN_FDS": "2", "LISTEN_PID": "100", "LISTEN_FDNAMES": "listen:tls.listen"])
        #expect(found == InheritedDescriptors(origin: .supervisor, names: ["listen", "tls.listen"]))
    }

    @Test func `need no names`() throws {
        let found = try read(["LISTEN_FDS": "2", "LISTEN_PID": "100"])
        #expect(found?.names == ["unknown", "unknown"])
    }

    @Test func `are not ours when they are for another process`() throws {
        #expect(try read(["LISTEN_FDS": "2", "LISTEN_PID": "101"]) == nil)
        #expect(try read(["LISTEN_FDS": "2"]) == nil)
        #expect(try read(["LISTEN_PID": "100"]) == nil)
        // What is for another process is not judged, either.
        #expect(try read(["LISTEN_FDS": "many", "LISTEN_PID": "101"]) == nil)
    }

    @Test func `are from a gateway when our parent hands over`() throws {
        let found = try read(["LISTEN_FDS": "1", "GATEWAY_HANDOVER": "4:99", "LISTEN_FDNAMES": "handover"])
        #expect(found == InheritedDescriptors(origin: .predecessor, names: ["handover"]))
    }

    @Test(arguments: [
        (["LISTEN_FDS": "two", "LISTEN_PID": "100"], "LISTEN_FDS is \"two\", which is no number from 0 to 4096"),
        (["LISTEN_FDS": "-1", "LISTEN_PID": "100"], "LISTEN_FDS is \"-1\", which is no number from 0 to 4096"),
        (["LISTEN_FDS": "4097", "LISTEN_PID": "100"], "LISTEN_FDS is \"4097\", which is no number from 0 to 4096"),
        (["LISTEN_FDS": "1", "LISTEN_PID": "me"], "LISTEN_PID is \"me\", which is no process id"),
        (
            ["LISTEN_FDS": "2", "LISTEN_PID": "100", "LISTEN_FDNAMES": "a"],
            "LISTEN_FDNAMES has 1 names (\"a\"), and LISTEN_FDS says 2"
        ),
        (
            ["LISTEN_FDS": "1", "GATEWAY_HANDOVER": "1:99"],
            "GATEWAY_HANDOVER is \"1:99\": the running gateway hands over in another way"
        ),
        (
            ["LISTEN_FDS": "1", "GATEWAY_HANDOVER": "4:98"],
            "GATEWAY_HANDOVER is \"4:98\", but the process that started this one is 99: start the gateway's program "
                + "itself, without one between"
        ),
    ])
    func `are refused with a reason when what is said of them cannot be true`(
        _ environment: [String: String], _ reason: String
    ) {
        let fault = #expect(throws: InheritedDescriptors.Fault.self) { try read(environment) }
        #expect(fault?.description == reason)
    }
}

@Suite struct `A descriptor that was given` {
    private func fault(of descriptor: Int32) -> String? {
        #expect(throws: AdoptionFault.self) {
            _ = try ListeningSocket(adopting: descriptor, isHeldElsewhere: true)
        }?.description
    }

    @Test func `serves as a listener with its address, and no child gets it`() throws {
        let original = try ListeningSocket(bind: .ip(#require(IPAddress("127.0.0.1")), port: 0), shared: false)
        let copy = dup(original.descriptor)
        let adopted = try ListeningSocket(adopting: copy, isHeldElsewhere: true)
        #expect(adopted.address == original.address)
        #expect(adopted.isHeldElsewhere)
        #expect(fcntl(copy, F_GETFD) == FD_CLOEXEC)
        #expect(fcntl(copy, F_GETFL) & O_NONBLOCK != 0)
    }

    @Test func `is refused when it is something else`() throws {
        #expect(fault(of: open("/dev/null", O_RDONLY)) == "it is no socket")
        #expect(fault(of: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)) == "it is no listening stream socket")
        #expect(fault(of: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)) == "it is no listening stream socket")
        #expect(fault(of: 999) == "Bad file descriptor")
    }
}

@Suite struct `A service manager's socket` {
    private func receiver(_ name: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            place.copyBytes(from: Array(name.utf8))
            if name.hasPrefix("@") { place[0] = 0 }
        }
        let length = socklen_t(2 + name.utf8.count + (name.hasPrefix("@") ? 0 : 1))
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(result == 0)
        return descriptor
    }

    private func received(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    @Test(arguments: ["/tmp/gateway-notify-\(getpid())", "@gateway-notify-\(getpid())"])
    func `is reached by its path and by its abstract name`(_ name: String) throws {
        let other = try receiver(name)
        defer {
            close(other)
            unlink(name)
        }
        let socket = try NotifySocket(name)
        #expect(socket.send("READY=1") == .sent)
        #expect(received(other) == "READY=1")
    }

    @Test func `that is gone does no harm`() throws {
        #expect(try NotifySocket("/tmp/nobody-\(getpid())").send("READY=1") == .failed(ENOENT))
    }

    @Test(arguments: ["run/notify", "@", "vsock:2:9", "/" + String(repeating: "x", count: 107)])
    func `must have a name that can be meant`(_ name: String) {
        #expect(throws: NotifySocket.Fault.self) { _ = try NotifySocket(name) }
    }
}
