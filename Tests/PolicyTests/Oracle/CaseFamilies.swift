/// Families of requests that are made by hand: every value of one matter in every place where it counts.
enum CaseFamilies {
    static let all: [(name: String, cases: [[UInt8]])] = [
        ("line ends", lineEnds()),
        ("lengths and codings", lengthsAndCodings()),
        ("chunk sizes", chunkSizes()),
        ("extensions and trailers", extensionsAndTrailers()),
        ("targets and methods", targetsAndMethods()),
        ("versions", versions()),
        ("bytes in every place", bytesInPlaces()),
    ]

    private static let host = "Host: example.org\r\n"
    private static let chunkedHead = "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n"
    /// Follows every case, so that it shows where the next request begins.
    static let follower = Array("GET /second HTTP/1.1\r\nHost: example.org\r\n\r\n".utf8)

    /// One line of a request with a chunked body at a time ends otherwise.
    private static func lineEnds() -> [[UInt8]] {
        let lines = [
            "POST / HTTP/1.1", "Host: example.org", "Transfer-Encoding: chunked", "X-A: b", "", "5", "hello", "3;a=b",
            "you",
            "0", "Trailer-A: b", "",
        ]
        let ends = [
            "\n", "\r", "\r\r\n", "\n\r", "\r\n\n", "\n\n", " \r\n", "\t\r\n", "\r \n", "\0\r\n", "\u{0b}\r\n",
            "\u{0c}\r\n",
            "\r\n ", "\r\n\t", "\r\n\r\n", "", "\u{85}\r\n", "\u{2028}", ",\r\n", ";\r\n",
        ]
        return lines.indices.flatMap { changed in
            ends.map { end in
                lines.enumerated().map { Array(($1 + ($0 == changed ? end : "\r\n")).utf8) }.flatMap { $0 }
            }
        }
    }

    private static func lengthsAndCodings() -> [[UInt8]] {
        let lengths = [
            nil, "0", "5", "05", "000000000000000005", "+5", "-5", "5 ", " 5", "5,5", "5, 5", "5,6", "5;", "5a", "0x5",
            "5.0",
            "", "99999999999999999999", "9223372036854775808", "18446744073709551621", "\u{0660}", "5\t", "\"5\"",
            "5 5",
        ]
        let codings = [
            nil, "chunked", "Chunked", "CHUNKED", " chunked", "chunked ", "\tchunked\t", "chunked,", ",chunked",
            "chunked, ,",
            "chunked, chunked", "gzip, chunked", "chunked, gzip", "gzip", "identity", "identity, chunked", "xchunked",
            "chunkedx", "chunked;a=b", "\"chunked\"", "", "chunked\u{0b}", "'chunked'", "chunke\u{212a}",
            "gzip\tchunked",
            "deflate,gzip,chunked",
        ]
        return ["HTTP/1.1", "HTTP/1.0"].flatMap { version in
            lengths.flatMap { length in
                codings.flatMap { coding in
                    [false, true].compactMap { reversed -> [UInt8]? in
                        let fields = [
                            length.map { "Content-Length: \($0)\r\n" }, coding.map { "Transfer-Encoding: \($0)\r\n" },
                        ].compactMap { $0 }
                        if reversed, fields.count < 2 { return nil }
                        let head = (reversed ? fields.reversed() : fields).joined()
                        let body = coding == nil ? "hello" : "5\r\nhello\r\n0\r\n\r\n"
                        return Array("POST / \(version)\r\n\(host)\(head)\r\n\(body)".utf8)
                    }
                }
            }
        } + repeatedFields()
    }

    private static func repeatedFields() -> [[UInt8]] {
        let fields = [
            "Content-Length: 5", "Content-Length: 6", "content-length: 5", "Transfer-Encoding: chunked",
            "transfer-encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: identity",
            "Transfer-Encoding:",
            "Content-Length:", "Host: example.org", "Host: other.example", "Transfer-Encoding : chunked",
            "Content-Length : 5", " Transfer-Encoding: chunked", "Transfer_Encoding: chunked", "Content-Length\0: 5",
        ]
        return fields.flatMap { first in
            fields.map { second in
                Array("POST / HTTP/1.1\r\n\(host)\(first)\r\n\(second)\r\n\r\n5\r\nhello\r\n0\r\n\r\n".utf8)
            }
        }
    }

    private static func chunkSizes() -> [[UInt8]] {
        let sizes = [
            "5", "05", "005", "0000000000000005", "00000000000000005", "000000000000000000005", "+5", "-5", "0x5", "5h",
            "h", "",
            " 5", "\t5", "5 ", "5\t", "5 5", "5,5", "5.0", "5\u{0b}", "5\0", "A", "a", "fffffffffffffffb",
            "7fffffffffffffff",
            "8000000000000000", "ffffffffffffffff", "10000000000000005", "100000005", "5\r", "5\n", "5;", "5\"",
            "\u{ff15}",
        ]
        let ends = [
            "0\r\n\r\n", "00\r\n\r\n", "0000000000000000000\r\n\r\n", "0", "0\n\n", "0\r\n", "0 \r\n\r\n", "-0\r\n\r\n",
            "\r\n",
        ]
        return sizes.flatMap { size in
            ends.flatMap { end in
                ["hello\r\n", "hello", "hello\n", "hell\r\n", "hello!\r\n"].map {
                    Array("\(chunkedHead)\(size)\r\n\($0)\(end)".utf8)
                }
            }
        }
    }

    private static func extensionsAndTrailers() -> [[UInt8]] {
        let extensions = [
            "", ";", ";a", ";a=", ";a=b", ";a=\"b\"", ";a=\"b", ";a=b\"", ";a=\"b\\\"c\"", ";a=\"\\\"", ";a=\"b;c\"",
            ";a=\"b\tc\"", ";a;b;c",
            ";a=b;c=d", ";;a", ";a;;b", " ;a", "; a", ";a =b", ";a= b", ";a=b ", ";a ", "\t;\ta\t=\tb", ";=b", ";a==b",
            ";a=b c",
            ";a(b", ";a=(b)", ";a=b,c", ";\u{e9}", ";a=\"\u{e9}\"", ";a=\u{e9}", ";a\0", ";a=\"\0\"", ";a=\"\u{7f}\"",
            ";a=\"\r\n\"", ";a\n", ";a\rb",
            ";a=\"\n\"", ";" + String(repeating: "a", count: 300), ";a=\"\"", ";a=b;", ";a=\"b\" ;c",
        ]
        let trailers = [
            "", "A: b\r\n", "A:b\r\n", "A:\r\n", "A: b\r\nC: d\r\n", "A : b\r\n", " A: b\r\n", "A\r\n", ": b\r\n",
            "A: b\n", "A: b\r", "A: \0\r\n",
            "A: \u{e9}\r\n", "A: b\r\n c\r\n", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n",
            "A\0: b\r\n",
            "A(: b\r\n", "A: \u{7f}\r\n", "Connection: close\r\n", "Content-Length: x\r\n", "A: b \t\r\n", "A:\t b\r\n",
        ]
        return extensions.flatMap { one in
            ["5\(one)\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\(one)\r\n\r\n"].map { Array("\(chunkedHead)\($0)".utf8) }
        } + trailers.map { Array("\(chunkedHead)5\r\nhello\r\n0\r\n\($0)\r\n".utf8) }
            + trailers.map { Array("\(chunkedHead)5\r\nhello\r\n0;a=b\r\n\($0)\r\n".utf8) }
    }

    private static func targetsAndMethods() -> [[UInt8]] {
        let targets = [
            "/", "/a", "/a?b", "/?a=b&c=d", "/a?b?c", "/a//b", "/a/../b", "/a/./b", "/%41", "/%2f", "/%zz", "/%",
            "/a;b", "/a\\b",
            "//a", "a", "", "*", "/*", "**", "http://example.org/", "http://example.org", "HTTP://example.org/a",
            "http:///a",
            "http://other.example/a?b", "http://example.org:80/", "http://example.org:/", "http://u@example.org/",
            "http://[::1]/", "http://example.org?a", "https://example.org/", "ftp://example.org/", "x:y",
            "example.org:80",
            "/a b", "/a\tb", "/a#b", "/a\"b", "/a<b>", "/a{b}", "/a|b", "/a^b", "/a`b", "/a'b", "/a[b]", "/a@b:c",
            "/\u{e9}", "/\u{7f}",
            "/a?\"", "/a?<>", "/a?{}|^`", "/a?[b]", "/a?b/../c", "/a?%zz", "/a?#", "?a",
            "/" + String(repeating: "a", count: 4_000),
        ]
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
        let strangers = [
            "CONNECT", "TRACE", "TRACK", "get", "Get", "PRI", "SOURCE", "PROPFIND", "M-SEARCH", "MKCOL", "QUERY", "FOO",
            "G", "GETS", "G_T", "G!T",
            "DESCRIBE", "SETUP", "PLAY", "ANNOUNCE", "LINK", "UNLOCK", "REPORT", "PURGE", "ACL", "", " GET", "GET\t",
            "G\u{e9}T", "123", "BREW",
            "FLUSH", "HTTP/1.1", "(GET)", "UPDATEREDIRECTREF", "VERSION-CONTROL",
        ]
        return methods.flatMap { method in
            targets.map { Array("\(method) \($0) HTTP/1.1\r\n\(host)\r\n".utf8) }
        }
            + strangers.flatMap { method in
                ["/", "*", "http://example.org/a"].map { Array("\(method) \($0) HTTP/1.1\r\n\(host)\r\n".utf8) }
            }
    }

    private static func versions() -> [[UInt8]] {
        let versions =
            (0...9).flatMap { major in (0...9).map { "HTTP/\(major).\($0)" } } + [
                "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.11", "HTTP/01.1", "HTTP/1.1 ", "HTTP/1 .1", "http/1.1",
                "Http/1.1", "HTTP 1.1", "HTTP/1,1",
                "HTTP/+1.1", "HTTPS/1.1", "ICE/1.0", "RTSP/1.0", "", "HTTP/1.1\t", "HTTP/1.1.1", "HTTP/x.y", "HTTP/1.a",
                "HTTP\\1.1", "HTTP/1\u{ff0e}1",
            ]
        let fields = ["", "Connection: keep-alive\r\n", "Connection: close\r\n"]
        return versions.flatMap { version in
            fields.map { Array("GET / \(version)\r\n\(host)\($0)\r\n".utf8) }
        }
    }

    /// Every byte at the beginning, in the middle and at the end of everything that has one.
    private static func bytesInPlaces() -> [[UInt8]] {
        let places = [
            "\u{1}GET / HTTP/1.1\r\n\(host)\r\n", "G\u{1}ET / HTTP/1.1\r\n\(host)\r\n",
            "GET\u{1} / HTTP/1.1\r\n\(host)\r\n",
            "GET \u{1}/ HTTP/1.1\r\n\(host)\r\n", "GET /\u{1} HTTP/1.1\r\n\(host)\r\n",
            "GET /a\u{1}b HTTP/1.1\r\n\(host)\r\n",
            "GET /?a\u{1}b HTTP/1.1\r\n\(host)\r\n", "GET / \u{1}HTTP/1.1\r\n\(host)\r\n",
            "GET / HTTP/1.1\u{1}\r\n\(host)\r\n",
            "GET / HTTP/1.1\r\n\u{1}X: a\r\n\(host)\r\n", "GET / HTTP/1.1\r\nX\u{1}Y: a\r\n\(host)\r\n",
            "GET / HTTP/1.1\r\nX\u{1}: a\r\n\(host)\r\n", "GET / HTTP/1.1\r\nX:\u{1}a\r\n\(host)\r\n",
            "GET / HTTP/1.1\r\nX: a\u{1}b\r\n\(host)\r\n", "GET / HTTP/1.1\r\nX: a\u{1}\r\n\(host)\r\n",
            "GET / HTTP/1.1\r\n\(host)\u{1}\r\n", "GET / HTTP/1.1\r\nHost: exam\u{1}ple.org\r\n\r\n",
            "\(chunkedHead)\u{1}5\r\nhello\r\n0\r\n\r\n", "\(chunkedHead)5\u{1}\r\nhello\r\n0\r\n\r\n",
            "\(chunkedHead)5;\u{1}a=b\r\nhello\r\n0\r\n\r\n", "\(chunkedHead)5;a\u{1}=b\r\nhello\r\n0\r\n\r\n",
            "\(chunkedHead)5;a=\u{1}b\r\nhello\r\n0\r\n\r\n", "\(chunkedHead)5;a=b\u{1}\r\nhello\r\n0\r\n\r\n",
            "\(chunkedHead)5;a=\"b\u{1}\"\r\nhello\r\n0\r\n\r\n", "\(chunkedHead)5\r\nhello\u{1}0\r\n\r\n",
            "\(chunkedHead)5\r\nhello\r\n0\r\nA\u{1}: b\r\n\r\n", "\(chunkedHead)5\r\nhello\r\n0\r\nA: b\u{1}c\r\n\r\n",
            "\(chunkedHead)5\r\nhello\r\n0\r\n\u{1}A: b\r\n\r\n",
            "POST / HTTP/1.1\r\n\(host)Content-Length: \u{1}5\r\n\r\nhello",
            "POST / HTTP/1.1\r\n\(host)Content-Length: 5\u{1}\r\n\r\nhello",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: \u{1}chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\u{1}\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\n\(host)Connection: clo\u{1}se\r\n\r\n",
        ].map { Array($0.utf8) }
        return places.flatMap { place in
            (0...255).map { byte in place.map { $0 == 1 ? UInt8(byte) : $0 } }
        }
    }
}
