internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Connections of proxies that ask. Every answer is our own, so they know no other phase than the head and the end.
extension ClientConnection {
    /// Judges the request that the check at `offset` is about. Returns where to go on in the scratch; nil: nothing more
    /// can be done now.
    func takeCheck(_ offset: Int, _ count: Int) -> Int? {
        let (worker, now) = (worker, worker.clock.now)
        // A reload may have changed who may ask.
        guard !worker.callers.turnAway(peer) else {
            close()
            return nil
        }
        let bytes = worker.scratch.bytes(count).extracting(offset..<count)
        if record.isSettled || !record.hasBegun { recordBegins(now) }
        let record = record
        let counted = record.facts.counted
        record.facts = RequestFacts(client: peer)
        record.facts.counted = counted
        switch worker.checks.read(bytes, &record.facts) {
        case .incomplete:
            awaitRest(of: bytes, now)
            return nil
        case .refused(let refusal):
            beginUnread(bytes)
            answerCheck(refusal, .misdescribed, keepAlive: false)
            return nil
        case .misdescribed(let fault, let dialect):
            beginUnread(bytes)
            worker.callers.misdescribed(by: peer, fault)
            let next = endOfBody(offset, count)
            answerCheck(.misdescribed, .misdescribed, for: dialect, keepAlive: keepsAlive && next != nil)
            return phase == .head ? next : nil
        case .health:
            beginUnread(bytes)
            let next = endOfBody(offset, count)
            answerCheck(.health, keepAlive: keepsAlive && next != nil)
            return phase == .head ? next : nil
        case .described(let check):
            return judge(check, offset, count, now)
        }
    }

    /// Of the check nothing is known that a stage has found out.
    private func beginUnread(_ bytes: Span<UInt8>) {
        worker.gatekeeper.forget()
        record.begin(bytes, peer: peer, worker: worker)
    }

    private func judge(_ check: Check, _ offset: Int, _ count: Int, _ now: Instant) -> Int? {
        let (worker, record) = (worker, record)
        let own = record.facts
        let head = worker.checks.described
        let verdict = worker.gatekeeper.decide(
            head, peer: check.client, link: check.isSecure ? .vouched : nil, passage: .theirs, now: now,
            wall: worker.clock.wall, facts: &record.facts)
        if case .introspect(let token) = verdict {
            wait(for: head.extracting(token), worker.scratch.bytes(count).extracting(offset..<count))
            return nil
        }
        record.facts.takeFraming(of: own)
        worker.traffic.note(record.facts.client)
        record.begin(head, peer: check.client, worker: worker)
        record.noteSize(in: worker.scratch.bytes(count).extracting(offset..<count))
        let next = endOfBody(offset, count)
        let keepAlive = keepsAlive && next != nil
        switch verdict {
        case .forward:
            noteIdentity(head, record)
            allow(check, keepAlive: keepAlive)
        case .answer(let answer): answerCheck(answer, for: check.dialect, keepAlive: keepAlive)
        case .refuse(let refusal):
            record.identity = worker.gatekeeper.identity
            audit(refusal, record, head, now)
            if worker.gatekeeper.missesKey { worker.reportMissingKey() }
            answerCheck(refusal, .refused, for: check.dialect, keepAlive: keepAlive)
        case .incomplete, .introspect:
            // The reader writes whole heads only, and who waits has left above.
            answerCheck(.misdescribed, .misdescribed, for: check.dialect, keepAlive: false)
        }
        return phase == .head ? next : nil
    }

    // MARK: Answers

    private func allow(_ check: Check, keepAlive: Bool) {
        let (worker, trace) = (worker, record.trace)
        worker.telemetry.metrics.countCheck(.allowed)
        worker.out.reset()
        worker.gatekeeper.writeAllowance(
            check, requestID: trace.requestID, date: worker.clock.date(), keepAlive: keepAlive, into: &worker.out)
        record.status = 200
        sendCheckAnswer(for: check.dialect, keepAlive: keepAlive)
    }

    private func answerCheck(_ answer: LocalAnswer, for dialect: Check.Dialect? = nil, keepAlive: Bool) {
        if dialect != nil { worker.telemetry.metrics.countCheck(.refused) }
        worker.out.reset()
        record.status = worker.localAnswers.write(
            answer, record.facts, worker.generation.rules.hardening, keepAlive: keepAlive, wall: worker.clock.wall,
            date: worker.clock.date(), into: &worker.out)
        sendCheckAnswer(for: dialect, keepAlive: keepAlive)
    }

    /// The connection of a proxy goes on where a client's would end: it is in step, whatever the request was like.
    private func answerCheck(
        _ refusal: Refusal, _ result: CheckResult, for dialect: Check.Dialect? = nil, keepAlive: Bool
    ) {
        let (worker, trace) = (worker, record.trace)
        worker.telemetry.metrics.countCheck(result)
        worker.telemetry.count(refusal)
        record.refusal = refusal
        record.status = refusal.status
        let origin = record.origin(under: worker.generation)
        worker.out.reset()
        worker.gatekeeper.write(
            refusal, record.facts, origin: origin.span, requestID: trace.requestID,
            date: worker.clock.date(), retryAfter: retryAfter(refusal), keepAlive: keepAlive, into: &worker.out)
        sendCheckAnswer(for: dialect, keepAlive: keepAlive)
    }

    /// What was composed.
    private func sendCheckAnswer(for dialect: Check.Dialect?, keepAlive: Bool) {
        if dialect == .nginx, record.status != 200 {
            let text = AnswerForNginx.text(worker.composed)
            record.bytesOut = Int64(text.count)
            send(text.span, Span())
        } else {
            record.bytesOut = Int64(worker.out.count)
            send(worker.composed, Span())
        }
        answered(keepAlive: keepAlive)
    }
}

extension RequestFacts {
    /// The answer is framed for who asked, not for whose request it is about.
    fileprivate mutating func takeFraming(of check: RequestFacts) {
        headLength = check.headLength
        minorVersion = check.minorVersion
        isHead = check.isHead
        keepAlive = check.keepAlive
        framing = check.framing
    }
}
