import Policy
import Wire

/// A check by another proxy: the request that is written down for it, what is decided about that, and the answer.
package final class CheckTarget: FuzzTarget {
    package static let name = "check"

    private let reader = CheckReader(House.rules)
    private let gatekeeper = House.gatekeeper()
    private var out = ByteWriter(capacity: 1 << 17)

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        var facts = RequestFacts(client: IPAddress(v4: 0))
        let reading = reader.read(input.span, &facts)
        try checkPieces(of: input, reading)
        guard case .described(let check) = reading else { return }
        try require(
            facts.headLength > 0 && facts.headLength <= input.count, "a check is among the bytes that are there")
        let text = reader.described.array
        try checkText(text, check, input, facts)
        try checkVerdict(text, check, facts)
    }

    /// What is decided of a beginning is decided of the whole.
    private func checkPieces(of input: [UInt8], _ reading: CheckReader.Reading) throws(Finding) {
        guard !input.isEmpty else { return }
        let cut = Int(input.checksum % UInt64(input.count))
        var facts = RequestFacts(client: IPAddress(v4: 0))
        let early = reader.read(Array(input[..<cut]).span, &facts)
        switch (early, reading) {
        case (.incomplete, _), (.refused, .refused), (.health, .health), (.misdescribed, .misdescribed),
            (.described, .described):
            break
        default: throw Finding("what follows a check does not change it")
        }
        _ = reader.read(input.span, &facts)
    }

    // MARK: The request that it is about

    private func checkText(
        _ text: [UInt8], _ check: Check, _ input: [UInt8], _ facts: RequestFacts
    ) throws(Finding) {
        let head = try PlainHead(text, .response)
        try require(head.length == text.count, "a description becomes one head and nothing behind it")
        let words = head.startLine.split(separator: 32, omittingEmptySubsequences: false).map { Array($0) }
        try require(
            words.count == 3 && words[2] == Array("HTTP/1.1".utf8), "its first line has a method, a target, our version"
        )
        try require(head.count("host") == 1, "its host is said once")
        let own = ["content-length", "transfer-encoding", "keep-alive", "te", "x-real-ip", "x-user-id", "x-user-role"]
        for name in own + ["x-authenticated", "forwarded", "max-forwards", "expect"] {
            try require(head.count(name) == 0, "what a check says of itself is not said of the request")
        }
        try require(
            head.fields.allSatisfy { field in
                // A name with another sign is the client's, and is refused where it may pass for one of ours.
                !field.name.hasPrefix("x-forwarded")
                    || field.name.contains { !$0.isLetter && !$0.isNumber && $0 != "-" }
            },
            "a description is not described again")
        try require(
            head.count("connection") <= 1 && (head.text("connection") ?? "Upgrade") == "Upgrade",
            "a connection is said to change, or not mentioned")
        // Empty lines may stand before a check; the witness knows none.
        let start = input.firstIndex { $0 != 13 && $0 != 10 } ?? 0
        let said = try PlainHead(Array(input[start...]), .response)
        let line = said.startLine.split(separator: 32, omittingEmptySubsequences: false).map { Array($0) }
        if check.dialect == .envoy {
            try require(words[0] == line[0], "the method is that of the check")
            try require(Array("/envoy".utf8) + words[1] == line[1], "the target is that of the check")
            try require(head.value("host") == said.value("host"), "the host is that of the check")
        } else {
            for (name, value) in [("method", words[0]), ("uri", words[1]), ("host", head.value("host") ?? [])] {
                try require(said.count("x-forwarded-\(name)") == 1, "each part of a description is said once")
                try require(said.value("x-forwarded-\(name)") == value, "the request is the one that is described")
            }
        }
        try require(said.count("x-forwarded-for") == 1, "the client is said once")
        try require(!check.client.isUnspecified, "the client is somebody")
    }

    // MARK: What is decided about it

    private func checkVerdict(_ text: [UInt8], _ check: Check, _ facts: RequestFacts) throws(Finding) {
        let inline = decide(text, check, .ours)
        let identity = gatekeeper.identity
        let beside = decide(text, check, .theirs)
        switch (beside, inline) {
        case (.incomplete, _): throw Finding("the head of a description is whole")
        case (.introspect, _): throw Finding("nobody is asked where nobody is named")
        case (.forward, .forward): try require(gatekeeper.identity === identity, "it is the same client on both ways")
        case (.forward, .answer(.health)), (.answer, .answer): break
        case (.forward, _), (.answer, _): throw Finding("nobody passes beside the gateway who would not through it")
        case (.refuse(let one), .refuse(let other)): try require(one == other, "a refusal is the same on both ways")
        case (.refuse(let refusal), _):
            let own = [Refusal.ambiguousPath, .disguisedField, .upgradeNotAllowed, .noRoute, .methodNotAllowed]
            let ofHealth = if case .answer(.health) = inline { true } else { false }
            try require(
                ofHealth || own.contains(refusal), "only what would be mended is refused beside the gateway alone")
        }
        if case .forward = beside { try checkAllowance(check) }
    }

    private func decide(_ text: [UInt8], _ check: Check, _ passage: Passage) -> Verdict {
        var facts = RequestFacts(client: check.client)
        return gatekeeper.decide(
            text.span, peer: check.client, link: check.isSecure ? .vouched : nil, passage: passage, now: House.now,
            wall: House.wall, facts: &facts)
    }

    private func checkAllowance(_ check: Check) throws(Finding) {
        let date = House.date
        out.reset()
        gatekeeper.writeAllowance(check, requestID: date.span, date: date.span, keepAlive: true, into: &out)
        try require(!out.overflowed, "an answer has room")
        let sent = out.unownedBytes.array
        let head = try PlainHead(sent, .response)
        try require(head.length == sent.count, "an allowance is a head and nothing behind it")
        let removed = (head.text("x-envoy-auth-headers-to-remove") ?? "").lowercased().split(separator: ",").map(
            String.init)
        try require(removed.isEmpty || check.dialect == .envoy, "only Envoy takes out what it is told to")
        for name in ["x-user-id", "x-user-role", "x-authenticated"] {
            let count = head.count(name) + (check.dialect == .envoy ? removed.count { $0 == name } : 0)
            try require(
                check.dialect == .envoy ? count == 1 : count <= 1, "an identity header is said, or taken out, once")
        }
        try require(
            (gatekeeper.identity == nil) == (head.count("x-authenticated") == 0), "somebody is told of as somebody")
        try require(AnswerForNginx.text(sent.span) == sent, "an allowance is the same for nginx")
    }
}
