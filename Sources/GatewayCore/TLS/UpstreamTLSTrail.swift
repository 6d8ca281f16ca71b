internal import Telemetry

/// Which servers cannot be spoken to over TLS, on the control thread. Workers tell when it changes for them; what all of
/// them say is logged once.
final class UpstreamTLSTrail {
    private let log: OperationalLog
    /// The problem by upstream and server.
    private var problems: [Server: String] = [:]

    private struct Server: Hashable {
        let upstream: String
        let address: String
    }

    init(_ log: OperationalLog) { self.log = log }

    /// A handshake of a worker failed, or succeeded after it had failed (`problem` nil).
    func note(upstream: String, server address: String, problem: String?) {
        let server = Server(upstream: upstream, address: address)
        guard problems[server] != problem else { return }
        problems[server] = problem
        let members: [(String, LogValue)] = [("upstream", .text(upstream)), ("server", .text(address))]
        guard let problem else {
            return log.log(.info, "upstream.tls_recovered", "The server can be spoken to over TLS again", members)
        }
        log.log(
            .error, "upstream.tls_failed", "No TLS connection to the server comes about",
            members + [("reason", .text(problem))])
    }

    /// New rules: what goes wrong under them is told anew.
    func reset() { problems = [:] }
}
