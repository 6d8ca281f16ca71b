internal import Policy
internal import Telemetry
internal import Wire

/// What is to be told of somebody who asks.
enum CallerProblem: Sendable {
    /// Not among `forward_auth.trusted`.
    case stranger
    /// A check that lacks what it must say; which part, in words.
    case misdescription(String)
}

/// A worker's view of the proxies that ask.
final class Callers {
    private unowned let worker: Worker
    /// Each kind of problem is told to the log at most this often; the others are counted.
    private static let tellInterval = Interval.seconds(10)
    private var strangers = Silence()
    private var misdescriptions = Silence()

    private struct Silence {
        var until = Instant(nanoseconds: .min)
        var untold = 0
    }

    init(_ worker: Worker) { self.worker = worker }

    /// Whether this peer may not ask. It is told nothing, not even that there is something to ask: no client has a
    /// reason to be here, and a proxy that should have one finds its address in the log.
    func turnAway(_ peer: IPAddress) -> Bool {
        guard !worker.generation.rules.callers.contains(peer) else { return false }
        worker.telemetry.metrics.countCheck(.stranger)
        tell(peer, .stranger, &strangers)
        return true
    }

    func misdescribed(by peer: IPAddress, _ fault: DescriptionFault) {
        tell(peer, .misdescription(fault.text), &misdescriptions)
    }

    private func tell(_ peer: IPAddress, _ problem: CallerProblem, _ silence: inout Silence) {
        guard worker.clock.now >= silence.until else {
            silence.untold += 1
            return
        }
        worker.report(caller: peer, problem: problem, untold: silence.untold)
        silence = Silence(until: worker.clock.now + Callers.tellInterval)
    }
}

extension Gateway {
    func tell(_ caller: IPAddress, _ problem: CallerProblem, untold: Int) {
        switch problem {
        case .stranger:
            log.log(
                .warning, "forward_auth.stranger",
                "A connection was closed, because its peer is not among forward_auth.trusted",
                [("address", .text(caller.description)), ("untold", .number(untold))])
        case .misdescription(let reason):
            log.log(
                .warning, "forward_auth.misdescribed",
                "A proxy asked about a request and did not say what it must, so the request was refused",
                [
                    ("address", .text(caller.description)), ("reason", .text(reason)), ("untold", .number(untold)),
                ])
        }
    }
}
