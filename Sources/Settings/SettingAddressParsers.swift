internal import Wire

// Addresses, hosts, methods and paths.

func parseSocketAddress(
    _ text: String, lowestPort: Int
) throws(Complaint) -> Configuration.SocketAddressText {
    let hint = "write host:port, such as 127.0.0.1:8080 or [::1]:8080"
    // Not quoted: a URL may carry a password.
    guard !text.contains("://"), !text.contains("@") else { throw Complaint("a URL is not accepted here", hint: hint) }
    let host: Substring
    let portText: Substring
    if text.hasPrefix("[") {
        guard let close = text.firstIndex(of: "]") else { throw Complaint("the bracket is not closed", hint: hint) }
        host = text[text.index(after: text.startIndex)..<close]
        let rest = text[text.index(after: close)...]
        guard rest.hasPrefix(":") else { throw Complaint("\"\(text)\" has no port", hint: hint) }
        portText = rest.dropFirst()
        guard IPAddress(host) != nil, host.utf8.contains(UInt8(ascii: ":")) else {
            throw Complaint("\"\(host)\" is not an IPv6 address", hint: hint)
        }
    } else {
        guard let colon = text.lastIndex(of: ":") else { throw Complaint("\"\(text)\" has no port", hint: hint) }
        host = text[..<colon]
        portText = text[text.index(after: colon)...]
        if host.contains(":") {
            throw Complaint("\"\(text)\" is ambiguous", hint: "put an IPv6 address in brackets: [\(host)]:\(portText)")
        }
        try checkHost(host, in: text)
    }
    guard let port = plainNumber(portText), (lowestPort...65_535).contains(port) else {
        throw Complaint("\"\(portText)\" is not a port", hint: "a port is a number from \(lowestPort) to 65535")
    }
    return .init(host: host.lowercased(), port: UInt16(port))
}

/// What is bound. A name may stand for several addresses, and for others tomorrow.
func parseListener(_ text: String) throws(Complaint) -> Configuration.SocketAddressText {
    let address = try parseSocketAddress(text, lowestPort: 0)
    guard IPAddress(address.host) != nil else {
        throw Complaint(
            "\"\(address.host)\" is a name, and sockets are bound to addresses",
            hint: "write 127.0.0.1:\(address.port) for this host alone, 0.0.0.0:\(address.port) for all IPv4 addresses")
    }
    return address
}

/// Whether a text looks like a URL with a password in it.
func holdsCredentials(_ text: String) -> Bool { text.contains("@") && text.contains(":") }

/// The host alone, as GATEWAY_HOST and REDIS_HOST give it: a name, an address, with or without brackets.
func parseHost(_ text: String) throws(Complaint) -> String {
    guard !text.contains("://"), !text.contains("@") else {
        throw Complaint("a URL is not accepted here", hint: "write the host alone")
    }
    var host = Substring(text)
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    if host.contains(":") {
        guard IPAddress(host) != nil else {
            throw Complaint("\"\(text)\" is not a host", hint: "a host has no port and no scheme")
        }
    } else {
        try checkHost(host, in: text)
    }
    return host.lowercased()
}

private func checkHost(_ host: Substring, in text: String) throws(Complaint) {
    if host.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") }), !host.isEmpty {
        guard IPAddress(host) != nil else {
            throw Complaint(
                "\"\(host)\" is not an IPv4 address", hint: "four numbers from 0 to 255, without leading zeros")
        }
        return
    }
    guard isHostName(host) else {
        throw Complaint(
            host.isEmpty ? "\"\(text)\" has no host" : "\"\(host)\" is not a host name",
            hint: host.isEmpty ? "write 0.0.0.0 for all IPv4 addresses, [::] for all IPv6 addresses" : nil)
    }
}

/// RFC 1123 §2.1, with the underscore that Compose and Windows names use.
private func isHostName(_ host: Substring) -> Bool {
    guard (1...253).contains(host.utf8.count) else { return false }
    return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
        (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
            && label.utf8.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }
}

func parseRedisAddress(_ text: String) throws(Complaint) -> Configuration.ServerLocation {
    if text.hasPrefix("redis://") || text.hasPrefix("rediss://") {
        throw Complaint(
            "\"redis.address\" is not a URL",
            hint: "write host:port here, and a URL into \"redis.url\" or \"redis.url_file\"")
    }
    return try parseServer(text)
}

func parseServer(_ text: String) throws(Complaint) -> Configuration.ServerLocation {
    guard text.hasPrefix("unix:") else { return .tcp(try parseSocketAddress(text, lowestPort: 1)) }
    let path = String(text.dropFirst(5))
    guard path.hasPrefix("/"), !path.hasSuffix("/") else {
        throw Complaint(
            "\"\(path)\" is not the absolute path of a socket", hint: "write unix:/path, such as unix:/run/api.sock")
    }
    // unix(7): `sun_path` has 108 bytes, the last of them 0.
    guard path.utf8.count <= 107 else {
        throw Complaint(
            "the path of the socket is \(path.utf8.count) bytes long",
            hint: "the system allows no more than 107: choose a shorter one")
    }
    return .unix(path: try parseText(path))
}

func parseNetwork(_ text: String) throws(Complaint) -> IPNetwork {
    if let network = IPNetwork(text) { return network }
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(parts[0]) else {
        throw Complaint(
            "\"\(text)\" is not an address or network", hint: "write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
    }
    let widest = parts[0].contains(":") ? 128 : 32
    guard parts.count == 2, let prefix = plainNumber(parts[1]), prefix <= widest else {
        throw Complaint("\"\(text)\" has no valid prefix length", hint: "from /0 to /\(widest)")
    }
    // 192.168.1.10/24: the host, or its network? The two differ by 255 machines, so the reader has to say.
    let meant = IPNetwork(address, bits: widest == 32 ? prefix + 96 : prefix)
    throw Complaint(
        "\"\(text)\" has bits set behind its prefix",
        hint: "write \(meant) for the network, or \(address) for the one address")
}

func parseMethod(_ text: String) throws(Complaint) -> String {
    guard WordRule.token.accepts(text) else {
        throw Complaint("\"\(text)\" is not a method", hint: "write a list of methods, such as [GET, POST]")
    }
    // RFC 9110 §9.1: methods are case-sensitive; `get` would never match.
    guard text == text.uppercased() else {
        throw Complaint("the method \"\(text)\" is not in upper case", hint: "did you mean \"\(text.uppercased())\"?")
    }
    return text
}

func parseEndpoint(_ text: String) throws(Complaint) -> Configuration.Login.Endpoint {
    let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
        throw Complaint("\"\(text)\" is not a method and a path", hint: "write it as POST /auth/login")
    }
    let method = try parseMethod(String(parts[0]))
    let path = String(parts[1])
    try checkCanonical(path)
    return .init(method: method, path: path)
}

func parseRoutePath(_ text: String) throws(Complaint) -> String {
    try checkCanonical(text)
    guard text == "/" || !text.hasSuffix("/") else {
        throw Complaint(
            "a route's path does not end with /",
            hint: "write \(text.dropLast()): it matches whole segments, with and without a slash behind it")
    }
    return text
}

func parseTarget(_ text: String) throws(Complaint) -> String {
    let text = try parseText(text)
    guard text.hasPrefix("/") else { throw Complaint("the path does not begin with /", hint: "write /\(text)") }
    guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }) else {
        throw Complaint("the path has a character that no request may have there", hint: "write it as %20 and the like")
    }
    return text
}

/// The paths that requests are matched by have no escapes, dots or empty segments left, so a rule that had them would
/// never match, and guard nothing.
private func checkCanonical(_ path: String) throws(Complaint) {
    guard path.hasPrefix("/") else {
        throw Complaint("the path \"\(path)\" does not begin with /", hint: "write /\(path)")
    }
    if let bad = path.unicodeScalars.first(where: { "%?#\\".unicodeScalars.contains($0) }) {
        throw Complaint(
            "the path \"\(path)\" contains \(bad)",
            hint: bad == "%"
                ? "requests are matched after decoding: write the character itself"
                : "write the path only, in its canonical form")
    }
    guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
        throw Complaint("the path \"\(path)\" contains a space, a control character or a letter beyond ASCII")
    }
    let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    if segments.dropLast().contains("") {
        throw Complaint("the path \"\(path)\" contains an empty segment", hint: "requests are matched without //")
    }
    if segments.contains(".") || segments.contains("..") {
        throw Complaint("the path \"\(path)\" contains a . or .. segment", hint: "requests are matched without them")
    }
}

func parseHostPattern(_ text: String) throws(Complaint) -> String {
    var name = Substring(text)
    if name.hasPrefix("*.") { name = name.dropFirst(2) }
    if IPAddress(name) == nil, name.contains(":") {
        throw Complaint("\"\(text)\" has a port or a scheme", hint: "a route's host is the name alone")
    }
    guard IPAddress(name) != nil || isHostName(name) else {
        throw Complaint("\"\(text)\" is not a host name", hint: "write api.example.org, or *.example.org")
    }
    return text.lowercased()
}

/// RFC 6454 §6.2: scheme, host and port, no path; compared byte for byte with what the browser sends.
func parseOrigin(_ text: String) throws(Complaint) -> String {
    if text == "*" { return text }
    let hint = "write it as browsers send it, such as https://app.example.org, without a path or a slash behind it"
    guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
        throw Complaint("the origin \"\(text)\" has no scheme", hint: hint)
    }
    let authority = text.dropFirst(scheme.utf8.count)
    guard !authority.isEmpty, !authority.contains("/"), text == text.lowercased() else {
        throw Complaint("\"\(text)\" is not an origin", hint: hint)
    }
    let port = authority.hasSuffix("]") || !authority.contains(":") ? ":443" : ""
    do {
        _ = try parseSocketAddress(authority + port, lowestPort: 1)
    } catch {
        throw Complaint("\"\(text)\" is not an origin", hint: hint)
    }
    return text
}
