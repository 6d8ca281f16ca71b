internal import Crypto
package import Settings
internal import Wire

/// What asks about one token (RFC 7662 §2.1).
package enum IntrospectionRequest {
    /// One request per connection, as of keys. The token goes into the body alone: a target would be logged.
    package static func bytes(
        about token: [UInt8], of introspection: Configuration.Tokens.Introspection
    ) -> [UInt8] {
        let url = introspection.url
        // RFC 6749 §2.3.1: both are encoded as in a form before they become the user and the password of Basic.
        var pair = FormText.encode(Array(introspection.clientID.utf8))
        pair.append(UInt8(ascii: ":"))
        pair += FormText.encode(introspection.clientSecret.revealed)
        let body = Array("token=".utf8) + FormText.encode(token) + Array("&token_type_hint=access_token".utf8)
        var bytes = Array(
            """
            POST \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\nUser-Agent: gateway\r\n\
            Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\nAuthorization: Basic 
            """.utf8)
        bytes += Base64.encode(pair)
        bytes += Array(
            "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
        return bytes + body
    }
}

/// `application/x-www-form-urlencoded`, with everything escaped that any reader may take for more than itself.
enum FormText {
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                text.append(byte)
            default:
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return text
    }
}
