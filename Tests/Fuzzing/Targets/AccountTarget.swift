import GatewayCore
import Policy

/// Whose login it is: what an honest backend reads must not go by unseen, however it is written.
package final class AccountTarget: FuzzTarget {
    package static let name = "account"

    private let rule = House.rules("accounts: {member: [username, user.email], secret: \(House.secret)}").accounts!

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        let (query, body) = parts.count == 2 ? (Array(parts[0]), Array(parts[1])) : ([], input)
        let reading = rule.read(query: query, body: body)
        var marks: Set<AccountMark> = []
        for name in names(inJSON: body) + names(inForm: query) + names(inForm: body) + names(inParts: body) {
            if let mark = rule.mark(of: name) { marks.insert(mark) }
        }
        switch reading {
        case .ambiguous: return
        case .unknown: try require(marks.isEmpty, "an account that a backend would read is found")
        case .account(let mark):
            try require(marks.subtracting([mark]).isEmpty, "a second account that a backend would read is noticed")
        }
    }

    // MARK: Second readers, strict ones

    private func names(inJSON body: [UInt8]) -> [String] {
        guard let document = try? JSONValue.read(body) else { return [] }
        return [document["username"], document["user"]?["email"]].compactMap { $0?.string }
    }

    private func names(inForm text: [UInt8]) -> [String] {
        text.split(separator: UInt8(ascii: "&")).compactMap { pair in
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, let name = decoded(sides[0]), name == "username" || name == "user.email" else {
                return nil
            }
            return decoded(sides[1])
        }
    }

    /// Nil: it is not encoded as it must be.
    private func decoded(_ text: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(0x20)
            case UInt8(ascii: "%"):
                guard rest.count >= 2, rest.prefix(2).allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                    let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Of a body that begins with its boundary and has parts as every browser writes them.
    private func names(inParts body: [UInt8]) -> [String] {
        guard body.starts(with: Array("--".utf8)), let end = body.firstIndex(of: 0x0d),
            let text = String(validating: body, as: UTF8.self)
        else { return [] }
        let boundary = String(decoding: body[..<end], as: UTF8.self)
        guard boundary.utf8.count > 2 else { return [] }
        let head = "\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n"
        return text.split(separator: boundary).dropLast().compactMap { part in
            guard part.utf8.starts(with: head.utf8) else { return nil }
            let content = part.utf8.dropFirst(head.utf8.count)
            guard content.count >= 2, content.suffix(2).elementsEqual([0x0d, 0x0a]) else { return nil }
            let value = String(decoding: content.dropLast(2), as: UTF8.self)
            // What could be another boundary ends a value here, whatever the first one was.
            return value.utf8.contains(0x0a) ? nil : value
        }
    }
}
