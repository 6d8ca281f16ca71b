internal import Wire

/// Answers to logins whose bodies say whether they failed.
extension ResponseReader {
    package enum BodyVerdict {
        /// The answer is held back until there is more of it.
        case more
        case failedRows(LoginRows)
        /// Not framed as its head says: whatever could have stood in it, did.
        case malformed(LoginRows)
    }

    /// Bytes of head and body that are looked at, at most: much framing may hold little.
    private static let mostBytes = 192 << 10

    /// How many bytes of head and body must be there before it is worth to look again, when `count` were looked at: all are
    /// read anew each time.
    package static func nextLook(at response: Response, after count: Int) -> Int {
        var next = count + max(1, count / 4)
        var marks = [response.headLength + AnswerBody.longest + 1, mostBytes]
        if case .length(let length) = response.framing, length < mostBytes {
            marks.append(response.headLength + Int(length))
        }
        for mark in marks where mark > count { next = min(next, mark) }
        return next
    }

    /// Chunks end so, and most that is no end does not.
    package static func mayEnd(_ bytes: Span<UInt8>) -> Bool {
        let end = bytes.count
        return end >= 4 && bytes[end - 1] == 10 && bytes[end - 2] == 13 && bytes[end - 3] == 10 && bytes[end - 4] == 13
    }

    /// What the body says, so far as it is here. Belongs to the `parse` right before.
    /// - Parameters:
    ///   - bytes: that were parsed.
    ///   - ended: the server's connection has, behind them.
    package func rows(ofBody response: Response, _ bytes: Span<UInt8>, ended: Bool) -> BodyVerdict {
        var reader = BodyReader(response.framing)
        var body: [UInt8] = []
        var at = response.headLength
        var isWhole = false
        reading: while body.count <= AnswerBody.longest {
            switch reader.read(bytes, from: at) {
            case .data(let range):
                for index in range.prefix(AnswerBody.longest + 1 - body.count) { body.append(bytes[index]) }
                at = range.upperBound
            case .needMore:
                isWhole = ended && response.framing == .untilClose
                break reading
            case .end:
                isWhole = true
                break reading
            case .malformed: return .malformed(response.failedRows.union(response.undecidedRows))
            }
        }
        let isCut = body.count > AnswerBody.longest
        if isCut { body.removeLast() }
        let looked = AnswerBody(
            status: response.status, bytes: body,
            isAll: isWhole || isCut || bytes.count >= Self.mostBytes, isWhole: isWhole && !isCut,
            isJSON: isJSON(bytes), isEncoded: isEncoded(bytes))
        switch failures.rows(of: response.undecidedRows, looked) {
        case .undecided: return .more
        case .decided(let rows): return .failedRows(response.failedRows.union(rows))
        }
    }

    /// `application/json`, `text/json` and all that ends with `+json` (RFC 6839 §3.1).
    private func isJSON(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<fields.count where bytes.extracting(fields[index].name).equalsIgnoringCase("content-type") {
            let value = bytes.extracting(fields[index].value)
            var end = 0
            while end < value.count, value[end] != UInt8(ascii: ";"), !Characters.isWhitespace(value[end]) { end += 1 }
            guard end >= 5 else { continue }
            let isNamed = value[end - 5] == UInt8(ascii: "/") || value[end - 5] == UInt8(ascii: "+")
            if isNamed, value.extracting(end - 4..<end).equalsIgnoringCase("json") { return true }
        }
        return false
    }

    private func isEncoded(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<fields.count
        where bytes.extracting(fields[index].name).equalsIgnoringCase("content-encoding") {
            let value = bytes.extracting(fields[index].value)
            if !value.isEmpty, !value.equalsIgnoringCase("identity") { return true }
        }
        return false
    }
}
