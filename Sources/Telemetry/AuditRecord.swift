internal import Wire

/// One event as lines of JSON, one schema for all: what a filter of any runbook asks for stands at the same place in
/// every record.
func auditLines(_ event: AuditEvent, id: (process: Int64, number: Int), at time: WallTime) -> [UInt8] {
    var lines: [UInt8] = []
    for (index, words) in event.words.enumerated() {
        lines += jsonBytes(capacity: 1 << 13) { line in
            writeHead(words, event, isAlias: index > 0, id: id, at: time, to: &line)
            writeContext(words, event, at: time, to: &line)
            line.raw("}\n")
        }
    }
    return lines
}

private func writeHead(
    _ words: AuditWords, _ event: AuditEvent, isAlias: Bool, id: (process: Int64, number: Int), at time: WallTime,
    to line: inout LineWriter
) {
    line.raw("{\"timestamp\":\"")
    line.timestamp(time)
    line.raw("\",\"level\":\"")
    line.raw(words.level.name)
    line.raw("\",\"service\":\"audit\"")
    field(",\"event\":", words.event, to: &line)
    field(",\"action\":", words.action, to: &line)
    field(",\"message\":", words.message, limit: 512, to: &line)
    // Both records of an expired token have the same number; the second says that it is no event of its own.
    line.raw(",\"event_id\":\"")
    line.number(Int(id.process))
    line.raw("-")
    line.number(id.number)
    line.raw(isAlias ? "\",\"alias\":true" : "\"")
    field(",\"owasp_event\":", words.owasp, to: &line)
    field(",\"code\":", event.code, to: &line)
    field(",\"stage\":", event.stage, to: &line)
    if let client = event.shownAddress {
        // Three runbooks, three names for the same address.
        address(",\"client_ip\":", client, to: &line)
        address(",\"ip_address\":", client, to: &line)
        address(",\"source_ip\":", client, to: &line)
    }
    if let peer = event.peer {
        address(",\"peer_ip\":", IPNetwork(peer), to: &line)
        if event.peerPort > 0 { number(",\"peer_port\":", Int(event.peerPort), to: &line) }
    }
    if let proxy = event.proxy { address(",\"proxy_ip\":", IPNetwork(proxy), to: &line) }
    if event.isCheck { line.raw(",\"via\":\"forward_auth\"") }
    field(",\"trace_id\":", event.traceID, to: &line)
}

private func writeContext(_ words: AuditWords, _ event: AuditEvent, at time: WallTime, to line: inout LineWriter) {
    line.raw(",\"context\":{\"user_id\":")
    switch event.user {
    case .verified(let name):
        line.string(name, limit: 256)
        line.raw(",\"user_verified\":true")
    case .claimed(let name):
        line.raw("null,\"claimed_user_id\":")
        line.string(name, limit: 256)
        line.raw(",\"user_verified\":false")
    case nil: line.raw("null")
    }
    if let client = event.shownAddress { address(",\"ip_address\":", client, to: &line) }
    field(",\"failure_reason\":", words.failureReason, to: &line)
    field(",\"method\":", event.method, limit: 24, to: &line)
    field(",\"endpoint\":", event.endpoint, limit: 512, to: &line)
    field(",\"route\":", event.route, to: &line)
    field(",\"user_agent\":", event.userAgent, to: &line)
    writeDetails(event, at: time, to: &line)
    field(",\"request_id\":", event.requestID, to: &line)
    line.raw("}")
}

private func writeCountedFor(_ event: AuditEvent, to line: inout LineWriter) {
    if let subject = event.countedFor { field(",\"counted_for\":", subject.description, to: &line) }
    field(",\"rule\":", event.rule, to: &line)
    field(",\"account\":", event.account, to: &line)
}

/// What only some kinds have.
private func writeDetails(_ event: AuditEvent, at time: WallTime, to line: inout LineWriter) {
    switch event.kind {
    case .loginFailed(_, let failures, let limit, let window):
        writeCountedFor(event, to: &line)
        number(",\"failed_attempts\":", failures, to: &line)
        number(",\"limit\":", limit, to: &line)
        number(",\"time_window_seconds\":", Int(window.seconds), to: &line)
    case .loginSucceeded(let failures):
        writeCountedFor(event, to: &line)
        number(",\"failed_attempts\":", failures, to: &line)
    case .authenticationFailed(_, let token), .authenticated(let token), .authenticatedInGrace(let token):
        if let token { writeToken(token, at: time, to: &line) }
    case .brokenGlass(let reason, let token):
        field(",\"trigger\":", reason, to: &line)
        if let token { writeToken(token, at: time, to: &line) }
    case .authorizationFailed: break
    case .bruteForceDetected(let failures, let window):
        writeCountedFor(event, to: &line)
        number(",\"failed_attempts\":", failures, to: &line)
        number(",\"time_window_seconds\":", Int(window.seconds), to: &line)
        line.raw(",\"action\":\"ip_blocked\"")
    case .blocked(let block):
        line.raw(",\"action\":\"ip_blocked\"")
        if let length = block.length { number(",\"ttl_seconds\":", Int(length.seconds), to: &line) }
        timestamp(",\"expires_at\":", block.expiresAt, to: &line)
        field(",\"trigger\":", block.trigger, to: &line)
        field(",\"actor\":", block.actor, to: &line)
    case .unblocked(_, let trigger, let actor):
        line.raw(",\"action\":\"ip_unblocked\"")
        field(",\"trigger\":", trigger, to: &line)
        field(",\"actor\":", actor, to: &line)
    case .blockExpired:
        line.raw(",\"action\":\"block_expired\"")
    case .blockedRequest(let suppressed), .blockedRequestsSuppressed(let suppressed),
        .connectionRefused(let suppressed), .connectionsRefusedSuppressed(let suppressed),
        .challenged(let suppressed), .challengedSuppressed(let suppressed):
        if let network = event.countedFor { field(",\"counted_for\":", network.description, to: &line) }
        number(",\"suppressed\":", suppressed, to: &line)
        field(",\"feed\":", event.feed, to: &line)
    case .rateLimited(let limit, let suppressed):
        field(",\"trigger\":", limit, to: &line)
        number(",\"suppressed\":", suppressed, to: &line)
    case .rateLimitedSuppressed(let count): number(",\"suppressed\":", count, to: &line)
    case .accountLock(let lock):
        field(",\"account\":", lock.account, to: &line)
        if let network = lock.network { field(",\"locked_from\":", network.description, to: &line) }
        if let length = lock.length { number(",\"ttl_seconds\":", Int(length.seconds), to: &line) }
        timestamp(",\"expires_at\":", lock.expiresAt, to: &line)
        if let suppressed = lock.suppressed { number(",\"suppressed\":", suppressed, to: &line) }
        if !lock.trigger.isEmpty { field(",\"trigger\":", lock.trigger, to: &line) }
        if !lock.actor.isEmpty { field(",\"actor\":", lock.actor, to: &line) }
    case .threat(let threat): writeThreat(threat, to: &line)
    case .operation(let operation): writeOperation(operation, to: &line)
    }
}

private func writeOperation(_ operation: AuditOperation, to line: inout LineWriter) {
    field(",\"action\":", operation.action, to: &line)
    field(",\"target\":", operation.target, to: &line)
    timestamp(",\"expires_at\":", operation.expiresAt, to: &line)
    if operation.trigger?.isEmpty == false { field(",\"trigger\":", operation.trigger, to: &line) }
    field(",\"actor\":", operation.actor, to: &line)
}

private func writeToken(_ token: AuditToken, at time: WallTime, to line: inout LineWriter) {
    if !token.prefix.isEmpty { field(",\"token_prefix\":", token.prefix + "...", to: &line) }
    timestamp(",\"token_issued_at\":", token.issuedAt, to: &line)
    timestamp(",\"token_expires_at\":", token.expiresAt, to: &line)
    timestamp(",\"current_time\":", time, to: &line)
    guard let expiry = token.expiry else { return }
    number(",\"expired_for_seconds\":", expiry.seconds, to: &line)
    field(",\"expired_age\":", expiry.age.rawValue, to: &line)
}

extension AuditEvent {
    /// The client, or what the block is about.
    fileprivate var shownAddress: IPNetwork? {
        switch kind {
        case .blocked(let block): block.subject
        case .unblocked(let subject, _, _), .blockExpired(let subject): subject
        case .threat(let threat): threat.network ?? client.map { IPNetwork($0) }
        default: client.map { IPNetwork($0) }
        }
    }
}

private func field(_ key: StaticString, _ value: String?, limit: Int = 256, to line: inout LineWriter) {
    guard let value else { return }
    line.raw(key)
    line.string(value, limit: limit)
}

private func number(_ key: StaticString, _ value: Int, to line: inout LineWriter) {
    line.raw(key)
    line.number(value)
}

private func address(_ key: StaticString, _ value: IPNetwork, to line: inout LineWriter) {
    line.raw(key)
    guard value.isSingleAddress else { return line.string(value.description, limit: 64) }
    line.raw("\"")
    line.address(value.base)
    line.raw("\"")
}

private func timestamp(_ key: StaticString, _ value: WallTime?, to line: inout LineWriter) {
    guard let value else { return }
    line.raw(key)
    line.raw("\"")
    line.timestamp(value)
    line.raw("\"")
}
