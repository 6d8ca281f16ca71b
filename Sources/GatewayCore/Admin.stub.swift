final class AdminServer {
    init(_ gateway: Gateway) throws(Gateway.StartFailure) {}
    func start() {}
    func stop() {}
    var address: String? { nil }
}
