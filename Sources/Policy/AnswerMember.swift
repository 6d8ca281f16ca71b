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

    /// Whether a field of a request, of this name, may change whether and how the answer says it: another format, another
    /// encoding, a piece of it, or 304 in its place.
    static func choosesForm(_ name: Span<UInt8>) -> Bool {
        name.equalsIgnoringCase("accept") || name.equalsIgnoringCase("accept-encoding")
            || name.equalsIgnoringCase("range")
            || name.count > 3 && name.extracting(0..<3).equalsIgnoringCase("if-")
    }

    /// A redirect may be the other form of the same answer, and whoever guesses may have chosen it.
    static func isFailure(bodiless status: Int) -> Bool { (300..<400).contains(status) }

    func verdict(on body: AnswerBody) -> Verdict {
        // An error page of a server that is broken says nothing of a guess.
        let unreadable: Verdict = body.isJSON || body.status < 500 ? .failed : .passed
        guard !body.bytes.isEmpty else {
            return body.isAll ? AnswerMember.isFailure(bodiless: body.status) ? .failed : .passed : .undecided
        }
        if body.isEncoded { return unreadable }
        // Some write a byte order mark in front (RFC 8259 §8.1).
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        if !body.isAll, body.bytes.count < mark.count, mark.starts(with: body.bytes) { return .undecided }
        var start = body.bytes.starts(with: mark) ? mark.count : 0
        while start < body.bytes.count, isSpace(body.bytes[start]) { start += 1 }
        guard start < body.bytes.count else { return body.isAll ? unreadable : .undecided }
        // Another value of JSON has no members: a list may be the answers to many guesses at once.
        guard body.bytes[start] == UInt8(ascii: "{") else { return unreadable }
        return body.isAll ? look(in: body, from: start, orElse: unreadable) : .undecided
    }

    private func look(in body: AnswerBody, from start: Int, orElse unreadable: Verdict) -> Verdict {
        var scanner = ClaimScanner(capacity: body.bytes.count)
        let isSound = scanner.scan(json: body.bytes.span.extracting(start..<body.bytes.count), plan)
        let value = scanner.value(claim)
        if isFailure(value, scanner) { return .failed }
        if isSound { return .passed }
        // What was cut off is not sound, and may have said it before the cut; of a number nobody knows whether it goes on.
        let isKnown = value.kind != .absent && !(value.kind == .number && value.end == scanner.count)
        return isKnown && !body.isWhole ? .passed : unreadable
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
