internal import Wire

/// What the gateway knows about request methods.
package enum Methods {
    /// Methods are case-sensitive, and all registered ones are upper case (RFC 9110 §9.1); `get` is not one. CONNECT and
    /// TRACE are not offered: the one makes a tunnel past every rule, the other shows a client what was added for the
    /// backend, and a page the cookies it may not read; TRACK is the same under another name. So 501 (§9.1) and not 405,
    /// which would promise them for another target.
    package static func isSupported(_ method: Span<UInt8>) -> Bool {
        guard method.count <= 32 else { return false }
        for index in 0..<method.count {
            let byte = method[index]
            let isCapital = byte &- UInt8(ascii: "A") < 26
            guard isCapital || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") else { return false }
        }
        return !method.equals("CONNECT") && !method.equals("TRACE")
            && !method.equals("TRACK") && !method.equals("PRI")
    }

    /// Whether the bytes begin, behind empty lines, as a HEAD: its answer has no content (RFC 9110 §9.3.2), also when the
    /// rest is too malformed, too long or too late for anything else to be known of it.
    package static func beginsAsHead(_ bytes: Span<UInt8>) -> Bool {
        var start = 0
        while start < bytes.count, bytes[start] == 13 || bytes[start] == 10 { start += 1 }
        return bytes.count - start >= 5 && bytes.extracting(start..<start + 5).equals("HEAD ")
    }

    /// RFC 9110 §9.2.1: of those that are in use.
    package static func isSafe(_ method: Span<UInt8>) -> Bool {
        method.equals("GET") || method.equals("HEAD") || method.equals("OPTIONS")
    }

    /// RFC 9110 §9.2.2.
    package static func isIdempotent(_ method: Span<UInt8>) -> Bool {
        method.equals("GET") || method.equals("HEAD") || method.equals("OPTIONS") || method.equals("PUT")
            || method.equals("DELETE")
    }
}
