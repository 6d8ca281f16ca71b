internal import Policy
internal import Telemetry
internal import Wire

/// What an audit record says of a request. Made only for requests that get a record: it copies.
struct AuditRequest: Sendable {
    var client: IPAddress
    var peer: IPAddress
    var peerPort: UInt16
    /// Who announced the peer in a PROXY header; nil: nobody.
    var proxy: IPAddress?
    /// A proxy asked about it.
    var isCheck: Bool
    var method: String
    var endpoint: String
    var route: String?
    var userAgent: String
    var requestID: String
    var traceID: String

    init(
        _ facts: RequestFacts, _ bytes: Span<UInt8>, path: Span<UInt8>, peer: IPAddress, peerPort: UInt16,
        proxy: IPAddress?, isCheck: Bool, route: String?, trace: RequestTrace
    ) {
        client = facts.client
        self.peer = peer
        self.peerPort = peerPort
        self.proxy = proxy
        self.isCheck = isCheck
        method = bytes.extracting(facts.method).text
        endpoint = path.text
        self.route = route
        userAgent = bytes.extracting(facts.userAgent).text
        requestID = trace.requestID.text
        traceID = trace.traceID.text
    }

    func event(_ kind: AuditEvent.Kind, stage: Stage, code: ErrorCode?, user: AuditUser? = nil) -> AuditEvent {
        var event = AuditEvent(kind, client: client)
        event.peer = peer
        event.peerPort = peerPort
        event.proxy = proxy
        event.isCheck = isCheck
        event.user = user
        event.stage = stage.rawValue
        event.code = code?.rawValue
        event.method = method
        event.endpoint = endpoint
        event.route = route
        event.userAgent = userAgent
        event.requestID = requestID
        event.traceID = traceID
        return event
    }
}
