internal import Glibc
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The certificates in force, on the control thread. Looks at their files every few seconds, so that renewed ones are
/// served without a reload, also when a directory of links is swapped as Kubernetes does; whatever is wrong with the new
/// ones, the old ones stay.
final class CertificateStore {
    private static let interval = Interval.seconds(2)
    /// A ticket opens no session after this, give or take; whoever steals the key reads no more than that.
    private static let ticketLife = Interval.seconds(12 * 3_600)

    private let log: OperationalLog
    private let metrics: ControlMetrics
    private let publish: (TLSServerContext) -> Void
    private var tls: Configuration.TLS
    private(set) var context: TLSServerContext
    private var facts: [CertificateLoader.Facts]
    private var tickets = TLSServerContext.TicketKeys.random()
    private var ticketsSince = Instant.now()
    private var seen: [FileStamp] = []
    /// What kept the files from being used the last time; nil: nothing.
    private var fault: CertificateLoader.Finding?
    private var told: Set<String> = []
    private var timer: LoopTimer?

    /// - Parameter publish: called on the control thread with what workers shall serve from now on.
    init(
        _ tls: Configuration.TLS, on loop: EventLoop, log: OperationalLog, metrics: ControlMetrics,
        publish: @escaping (TLSServerContext) -> Void
    ) throws(CertificateLoader.Finding) {
        self.tls = tls
        self.log = log
        self.metrics = metrics
        self.publish = publish
        let stamps = CertificateStore.stamps(tls)
        let loaded = try CertificateLoader.load(tls, tickets: tickets)
        context = loaded.context
        facts = loaded.facts
        seen = stamps
        report(loaded)
        timer = LoopTimer(on: loop) { [unowned self] in look() }
        timer?.fire(every: CertificateStore.interval)
    }

    /// A reload: new files, or other rules. Throws before anything changes.
    func adopt(_ next: Configuration.TLS) throws(CertificateLoader.Finding) {
        let stamps = CertificateStore.stamps(next)
        let loaded = try CertificateLoader.load(next, tickets: tickets)
        tls = next
        seen = stamps
        take(loaded)
    }

    private func look() {
        let now = Instant.now()
        let stamps = CertificateStore.stamps(tls)
        if now - ticketsSince >= CertificateStore.ticketLife { renewTickets(at: now) }
        let isNew = stamps != seen
        guard isNew || fault?.isUnread == true else { return warnOfExpiry() }
        // Remembered before reading: a file that changes meanwhile is seen again at the next look.
        seen = stamps
        do throws(CertificateLoader.Finding) {
            take(try CertificateLoader.load(tls, tickets: tickets))
            log.log(
                .info, "tls.certificates_loaded", "Certificates were replaced",
                [("names", .text(facts.map(\.name).joined(separator: ", ")))])
        } catch {
            let isNews = isNew || fault?.text != error.text
            fault = error
            guard isNews else { return warnOfExpiry() }
            metrics.certificatesLoaded(successfully: false)
            log.log(
                .error, "tls.certificate_unusable", "New certificates cannot be used; those before stay in force",
                [("setting", .text(error.setting)), ("file", .text(error.path)), ("reason", .text(error.message))])
        }
    }

    /// Not from the files, which may be no good just now.
    private func renewTickets(at now: Instant) {
        let next = TLSServerContext.TicketKeys.random()
        // No memory: the next look tries again.
        guard let renewed = try? context.renewed(next) else { return }
        tickets = next
        ticketsSince = now
        context = renewed
        publish(renewed)
    }

    private func take(_ loaded: CertificateLoader.Loaded) {
        context = loaded.context
        facts = loaded.facts
        fault = nil
        told = []
        report(loaded)
        publish(context)
    }

    private func report(_ loaded: CertificateLoader.Loaded) {
        metrics.certificatesLoaded(successfully: true)
        metrics.certificates = facts.map { ($0.name, $0.notAfter) }
        for warning in loaded.warnings {
            log.certificateProblem(warning)
        }
        warnOfExpiry()
    }

    /// Once for each mark that a certificate passes: 30, 7 and 1 days before its end, and the end.
    private func warnOfExpiry() {
        let now = Int64(time(nil))
        for fact in facts {
            let days = (fact.notAfter - now) / 86_400
            guard let mark = [0, 1, 7, 30].first(where: { days < $0 || ($0 == 0 && fact.notAfter <= now) }),
                told.insert("\(fact.fingerprint) \(mark)").inserted
            else { continue }
            log.log(
                mark <= 1 ? .error : .warning, "tls.certificate_expires",
                fact.notAfter <= now ? "A certificate has expired" : "A certificate expires soon",
                [("name", .text(fact.name)), ("days", .number(Int(days)))])
        }
    }

    private static func stamps(_ tls: Configuration.TLS) -> [FileStamp] {
        let paths =
            tls.certificates.flatMap { [$0.chainPath, $0.keyPath] + ($0.staplePath.map { [$0] } ?? []) }
            + (tls.clientAuthorityPath.map { [$0] } ?? [])
        return paths.map(FileStamp.init)
    }
}

extension OperationalLog {
    func certificateProblem(_ warning: CertificateLoader.Finding) {
        log(
            .warning, "tls.certificate_problem", "A file of the certificates is not as it should be",
            [("setting", .text(warning.setting)), ("file", .text(warning.path)), ("reason", .text(warning.message))])
    }
}
