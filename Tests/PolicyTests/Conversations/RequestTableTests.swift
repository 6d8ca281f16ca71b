import Testing

@testable import Policy
@testable import Wire

extension TableCase {
    /// What the gateway answers, and the first head that it forwards.
    fileprivate func play() -> (answers: String, forwarded: [UInt8]?) {
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: House.client)
        var answers: [String] = []
        var forwarded: [UInt8]?
        var offset = 0
        connection: while offset < sent.count {
            let rest = sent.span.extracting(offset..<sent.count)
            switch gatekeeper.decide(rest, peer: House.client, now: House.now, wall: Mint.now, facts: &facts) {
            case .incomplete, .introspect:
                answers.append("wait")
                break connection
            case .refuse(let refusal):
                answers.append("\(refusal.status)")
                break connection
            case .answer:
                answers.append("own")
                offset += facts.headLength
            case .forward(let plan):
                let trace = RequestTrace()
                gatekeeper.name(trace, rest, peer: House.client)
                var out = ByteWriter(capacity: 131_072)
                gatekeeper.prepare(plan, facts, rest, trace, peer: House.client, into: &out)
                forwarded = forwarded ?? out.bytes.withUnsafeBufferPointer { Array($0) }
                guard let next = endOfBody(facts, rest, &answers) else { break connection }
                answers.append("200")
                offset += next
                if !facts.keepAlive { break connection }
            }
        }
        return (answers.joined(separator: " "), forwarded)
    }

    private func endOfBody(_ facts: RequestFacts, _ bytes: Span<UInt8>, _ answers: inout [String]) -> Int? {
        var reader = BodyReader(facts.framing)
        var position = facts.headLength
        while true {
            switch reader.read(bytes, from: position) {
            case .data(let range): position = range.upperBound
            case .end(let next): return next
            case .needMore:
                answers.append("wait")
                return nil
            case .malformed:
                answers.append("400")
                return nil
            }
        }
    }
}

@Suite struct `Tables of requests` {
    @Test(arguments: TableCase.all)
    func `are answered as written`(row: TableCase) {
        let (answers, forwarded) = row.play()
        // Only empty lines are left behind the last request.
        #expect(answers == row.answers, "\(row.place)")
        guard let fragment = row.fragment else { return }
        let head = forwarded ?? []
        let isThere = head.indices.contains { head[$0...].starts(with: fragment) }
        #expect(isThere, "\(row.place): \(Conversation.shown(head))")
    }

    /// A fault is answered before the head is complete; what is sound must never be taken for one on its way.
    @Test(
        arguments: TableCase.all.filter { ($0.answers.hasPrefix("200") || $0.answers == "own") && $0.sent.count < 500 })
    func `are not refused at any point of a sound head`(row: TableCase) {
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: House.client)
        for count in 0..<row.sent.count {
            let beginning = row.sent.span.extracting(0..<count)
            switch gatekeeper.decide(beginning, peer: House.client, now: House.now, wall: Mint.now, facts: &facts) {
            case .incomplete: continue
            case .refuse(let refusal): Issue.record("\(row.place): \(refusal.status) after \(count) bytes")
            case .answer, .introspect, .forward: break
            }
            return
        }
    }

    @Test func `are long`() {
        #expect(TableCase.all.count >= 1_000)
    }
}
