import Settings
import Testing

@testable import GatewayCore
@testable import Transport
@testable import Wire

@Suite struct `Sockets that the process was started with` {
    private func bound(_ host: String, _ port: UInt16) -> SocketAddress {
        .ip(IPAddress(host)!, port: port)
    }

    private func wanted(_ host: String, _ port: UInt16) -> Configuration.SocketAddressText {
        Configuration.SocketAddressText(host: host, port: port)
    }

    @Test func `are all taken for the address that they are bound to, whatever they are called`() {
        let offers: [(SocketAddress?, String)] = [
            (bound("127.0.0.1", 80), "unknown"), (bound("127.0.0.1", 81), "listen"), (bound("127.0.0.1", 80), "listen"),
        ]
        #expect(Inheritance.match(wanted("127.0.0.1", 80), of: "listen", among: offers) == [0, 2])
        #expect(Inheritance.match(wanted("127.0.0.1", 82), of: "listen", among: offers) == [])
        #expect(Inheritance.match(wanted("0.0.0.0", 80), of: "listen", among: offers) == [])
    }

    @Test func `serve for port 0 when their name is the setting's`() {
        let offers: [(SocketAddress?, String)] = [
            (bound("127.0.0.1", 4_001), "tls.listen"), (bound("127.0.0.1", 4_002), "listen"),
            (bound("127.0.0.1", 4_003), "listen"), (bound("127.0.0.1", 4_002), "listen"),
        ]
        #expect(Inheritance.match(wanted("127.0.0.1", 0), of: "listen", among: offers) == [1, 3])
        #expect(Inheritance.match(wanted("127.0.0.1", 0), of: "tls.listen", among: offers) == [0])
        #expect(Inheritance.match(wanted("127.0.0.2", 0), of: "listen", among: offers) == [])
    }

    @Test func `are compared as addresses, not as text`() {
        let offers: [(SocketAddress?, String)] = [(bound("::1", 80), "unknown"), (.unix(path: "/run/x"), "listen")]
        #expect(Inheritance.match(wanted("0:0::1", 80), of: "listen", among: offers) == [0])
        #expect(Inheritance.match(wanted("a name", 80), of: "listen", among: offers) == [])
    }

    @Test func `are each watched by a worker, and each worker watches one`() {
        #expect(share(1, among: 3) == [[0], [0], [0]])
        #expect(share(2, among: 3) == [[0], [1], [0]])
        #expect(share(3, among: 3) == [[0], [1], [2]])
        #expect(share(5, among: 2) == [[0, 2, 4], [1, 3]])
    }
}

@Suite struct `What a service manager hears` {
    @Test func `is one assignment a line`() {
        #expect(Supervisor.Moment.ready(takesOver: nil).text == "READY=1")
        #expect(Supervisor.Moment.ready(takesOver: 77).text == "MAINPID=77\nREADY=1")
        #expect(Supervisor.Moment.stopping.text == "STOPPING=1")
        let reload = Supervisor.Moment.reloading(at: Instant(nanoseconds: 12_345_678))
        #expect(reload.text == "RELOADING=1\nMONOTONIC_USEC=12345")
    }

    @Test func `is a sign of life at half the time that it allows`() {
        func interval(_ environment: [String: String]) -> Interval? {
            Supervisor.interval(environment, process: 5)
        }
        #expect(interval(["WATCHDOG_USEC": "3000000"]) == .milliseconds(1_500))
        #expect(interval(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "5"]) == .milliseconds(1_500))
        #expect(interval(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "6"]) == nil)
        for odd in ["", "0", "-1", "x", "9223372036854775807"] { #expect(interval(["WATCHDOG_USEC": odd]) == nil) }
        #expect(interval([:]) == nil)
    }

    @Test func `is no sign of life while a worker's loop stands still`() {
        let start = Instant(nanoseconds: 1_000_000_000)
        #expect(Heartbeat.isAlive(last: start, at: start + .seconds(1), within: .seconds(1)))
        #expect(!Heartbeat.isAlive(last: start, at: start + .milliseconds(1_001), within: .seconds(1)))
        let heartbeat = Heartbeat(at: start)
        #expect(!heartbeat.isAlive(at: start + .seconds(9), within: .seconds(1)))
        heartbeat.beat(start + .seconds(9))
        #expect(heartbeat.isAlive(at: start + .seconds(9), within: .seconds(1)))
        heartbeat.end()
        #expect(heartbeat.isAlive(at: start + .seconds(99), within: .seconds(1)), "who has ended is not missed")
    }
}
