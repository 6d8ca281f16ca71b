internal import Wire

/// The beginning of an answer's body, and what its head says of it.
struct AnswerBody {
    let status: Int
    /// Without chunks; at most `AnswerBody.longest` bytes.
    let bytes: [UInt8]
    /// Nothing more will be looked at: it ends here, or this is as much of it as is ever looked at.
    let isAll: Bool
    /// It ends here.
    let isWhole: Bool
    /// Content-Type says that it is JSON.
    let isJSON: Bool
    /// Content-Encoding says that it is compressed or the like.
    let isEncoded: Bool

    /// What of a body is looked at. It is held back until then.
    static let longest = 16 << 10
}

/// What the bodies of answers say of the rows that look there.
enum AnswerVerdict {
    /// More of it must come.
    case undecided
    case decided(LoginRows)
}

/// The member of an answer's JSON that says of a row whether something failed.
///
/// Whoever guesses may have a say in his answer: how long it is, whether it is compressed, in which format. None of that
/// may buy a guess that does not count, so a body that cannot be read where the member ought to stand is a failure.
struct AnswerMember: Sendable {
    enum Verdict {
        case undecided, failed, passed
    }

    private let plan: ClaimPlan
    private let claim: ClaimPlan.Claim
    /// Empty: anything but null.
    private let values: [[UInt8]]

    /// - Parameter path: with dots between nested members; one of exactly this name wins.
    init(_ path: String, values: [String]) {
        var plan = ClaimPlan()
        claim = plan.claim(path)
        self.plan = plan
        self.values = values.map { Array($0.utf8) }
    }

    func verdict(on body: AnswerBody) -> Verdict {
        // Of a success it is expected that it could be read; an error page of the server's own, or a redirect, says nothing.
        let unreadable: Verdict = body.isJSON || (200..<300).contains(body.status) ? .failed : .passed
        guard !body.bytes.isEmpty else { return body.isAll ? .passed : .undecided }
        if body.isEncoded { return unreadable }
        // Some write a byte order mark in front (RFC 8259 §8.1).
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        if !body.isAll, body.bytes.count < mark.count, mark.starts(with: body.bytes) { return .undecided }
        var start = body.bytes.starts(with: mark) ? mark.count : 0
        while start < body.bytes.count, isSpace(body.bytes[start]) { start += 1 }
        guard start < body.bytes.count else { return body.isAll ? unreadable : .undecided }
        switch body.bytes[start] {
        case UInt8(ascii: "{"): break
        // Another value of JSON has no members.
        case UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            return body.isJSON ? .passed : unreadable
        default: return unreadable
        }
        return body.isAll ? look(in: body, from: start, orElse: unreadable) : .undecided
    }

    private func look(in body: AnswerBody, from start: Int, orElse unreadable: Verdict) -> Verdict {
        var scanner = ClaimScanner(capacity: body.bytes.count)
        let isSound = scanner.scan(json: body.bytes.span.extracting(start..<body.bytes.count), plan)
        let value = scanner.value(claim)
        if isFailure(value, scanner) { return .failed }
        // What was cut off is not sound, and may have said it before the cut.
        return isSound || value.kind != .absent && !body.isWhole ? .passed : unreadable
    }

    private func isFailure(_ value: ClaimScanner.Value, _ scanner: borrowing ClaimScanner) -> Bool {
        switch value.kind {
        case .absent: return false
        case .null where values.isEmpty: return false
        case .list, .object: return values.isEmpty
        case .null, .string, .number, .true, .false:
            if values.isEmpty { return true }
            let text = scanner.text(value)
            for known in values where text.equals(known.span) { return true }
            return false
        }
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }
}
