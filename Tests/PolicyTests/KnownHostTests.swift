import Testing
import Wire

@testable import Policy

@Suite struct `The host that was read last` {
    private static let values = [
        "api.example.org", "api.example.org:80", "api.example.org:", "api.example.org.", "API.example.org",
        "api.example.or",
        "[2001:db8::1]", "[2001:db8::1]:8080", "[2001:db8::1", "127.0.0.1", "127.0.0.1:81", "127.1", "", "a b",
        "a:99999", "a",
    ]

    /// Each behind every other, and behind itself: a name of one value must never be taken for that of another.
    @Test func `says of each value what reading it says`() {
        var known = KnownHost()
        for before in Self.values {
            for after in Self.values {
                for value in [before, after, after] {
                    let bytes = Array("Host: \(value)\r\n".utf8)
                    let range = 6..<bytes.count - 2
                    #expect(known.name(bytes.span, range) == Authority(bytes.span, range)?.host, "\(value)")
                }
            }
        }
    }
}
