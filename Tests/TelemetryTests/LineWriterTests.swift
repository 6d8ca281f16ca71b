import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `A line writer` {
    private func escaped(_ bytes: [UInt8], limit: Int = 1_000) -> String {
        written { $0.escaped(bytes.span, limit: limit) }
    }

    @Test(arguments: [
        ("plain text, long enough for words", "plain text, long enough for words"),
        ("a\"b\\c", #"a\"b\\c"#),
        ("line\r\n{\"event\":\"forged\"}", #"line\r\n{\"event\":\"forged\"}"#),
        ("tab\tbell\u{7}escape\u{1b}[31m", #"tab\tbell\u0007escape\u001b[31m"#),
        ("delete\u{7f}", #"delete\u007f"#),
        ("C1 \u{9b}31m", #"C1 \u009b31m"#),
        ("lines\u{2028}\u{2029}", #"lines\u2028\u2029"#),
        ("turned \u{202e}txt", #"turned \u202etxt"#),
        ("Grüße, 東京 🗼", "Grüße, 東京 🗼"),
        ("nul\u{0}", #"nul\u0000"#),
    ])
    func `escapes what could end the string or the line or steer a terminal`(text: String, expected: String) {
        #expect(escaped(Array(text.utf8)) == expected)
    }

    @Test(
        arguments: [
            ([0xff], #"\ufffd"#),
            ([0xc0, 0xaf], #"\ufffd\ufffd"#),  // an overlong slash
            ([0xed, 0xa0, 0x80], #"\ufffd\ufffd\ufffd"#),  // a surrogate
            ([0xf4, 0x90, 0x80, 0x80], #"\ufffd\ufffd\ufffd\ufffd"#),  // above U+10FFFF
            ([0x61, 0xe2, 0x82], #"a\ufffd\ufffd"#),  // cut short
            ([0xc3, 0x22], #"\ufffd\""#),  // a quote is not swallowed as a tail
        ] as [([UInt8], String)])
    func `writes a byte that is no UTF-8 as a replacement`(bytes: [UInt8], expected: String) {
        #expect(escaped(bytes) == expected)
    }

    @Test func `finds a special byte at every place of a word`() {
        for special in [UInt8(0x1f), 0x22, 0x5c, 0x7f, 0x80, 0xff] {
            for place in 0..<24 {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 24)
                bytes[place] = special
                let line = written { $0.string(bytes.span, limit: 1_000) }
                let back = try? JSONSerialization.jsonObject(with: Data(line.utf8), options: .fragmentsAllowed)
                let scalars = (back as? String).map { Array($0.unicodeScalars) } ?? []
                #expect(scalars.count == 24)
                #expect(scalars[place] == (special < 0x80 ? Unicode.Scalar(special) : "\u{fffd}"))
            }
        }
    }

    @Test func `gives one line of valid JSON for any bytes, never longer than its limit`() {
        var seed = UInt64(20_261_121)
        func next(_ bound: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % bound
        }
        let favourites: [UInt8] = [0x22, 0x5c, 0x0a, 0x0d, 0x00, 0x1b, 0xc2, 0x9b, 0xe2, 0x80, 0xa8, 0xf0, 0x9f, 0xff]
        for _ in 0..<3_000 {
            let bytes = (0..<next(120)).map { _ in
                next(3) == 0 ? favourites[next(favourites.count)] : UInt8(next(256))
            }
            let limit = 8 + next(100)
            let line = jsonBytes(capacity: 4_096) { $0.string(bytes.span, limit: limit) }
            #expect(line.count <= limit + 2)
            #expect(!line.contains { $0 < 0x20 || $0 == 0x7f })
            #expect(String(validating: line, as: UTF8.self) != nil)
            let value = try? JSONSerialization.jsonObject(with: Data(line), options: .fragmentsAllowed)
            #expect(value is String, "\(bytes)")
        }
    }

    @Test func `cuts before a whole character and says so`() {
        #expect(escaped(Array("0123456789".utf8), limit: 10) == "0123456789")
        #expect(escaped(Array("0123456789A".utf8), limit: 10) == "0123456…")
        #expect(escaped(Array("012345éééé".utf8), limit: 10) == "012345…")
        #expect(escaped(Array("12345\n\n\n\n".utf8), limit: 10) == #"12345\n…"#)
    }

    @Test func `never writes half a value`() {
        var memory = [UInt8](repeating: 0, count: 16)
        var span = memory.mutableSpan
        var line = LineWriter(span.mutableBytes)
        line.raw("0123456789")
        line.raw("does not fit")
        line.raw("and after")
        let (overflowed, count) = (line.overflowed, line.count)
        #expect(overflowed)
        #expect(count == 10)
    }

    @Test func `writes numbers, lengths and times`() {
        #expect(written { $0.number(0) } == "0")
        #expect(written { $0.number(-42) } == "-42")
        #expect(written { $0.number(.min) } == "-9223372036854775808")
        #expect(written { $0.milliseconds(Interval(nanoseconds: 1_234_567)) } == "1.234")
        #expect(written { $0.milliseconds(Interval(nanoseconds: -1)) } == "0.000")
        #expect(written { $0.timestamp(noon) } == "2026-11-21T12:00:00.123Z")
    }

    @Test(arguments: [
        "0.0.0.0", "1.2.3.4", "255.255.255.255", "::", "::1", "1::", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8", "0:0:1::", "1:0:2:3:4:5:6:7",
    ])
    func `writes an address as its description does`(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(written { $0.address(address) } == address.description)
    }
}
