package import Wire

/// A threat from its first sign on.
package struct Threat: Hashable, Sendable {
    /// 16 hexadecimal digits.
    package let id: String
    package let pattern: ThreatPattern
    package let subject: ThreatSubject
    package let began: WallTime
    package fileprivate(set) var lastSign: WallTime
    /// Nil: it goes on.
    package fileprivate(set) var ended: WallTime?
    /// Logins that were one.
    package fileprivate(set) var signs = 1
    /// The most that was counted of each.
    package fileprivate(set) var measures: ThreatMeasures
    /// Where the last sign came from.
    package fileprivate(set) var address: IPAddress?

    package init(id: String, _ finding: ThreatFinding, from address: IPAddress?, at wall: WallTime) {
        self.id = id
        pattern = finding.pattern
        subject = finding.subject
        measures = finding.measures
        began = wall
        lastSign = wall
        self.address = address
    }
}

/// What is to be told of a threat.
package struct ThreatNews: Hashable, Sendable {
    package enum Step: String, CaseIterable, Sendable {
        case began, continues, ended
    }
    package let step: Step
    package let threat: Threat
}

/// Makes one threat of many signs: told when it begins, now and again while it goes on, and when it is over. What it
/// keeps has a bound; signs beyond it are counted.
package struct ThreatBook: Sendable {
    /// Of each pattern: who makes up many of one keeps none of another from being told.
    package static let mostActive = 128
    package static let mostRecent = 64

    private struct Key: Hashable {
        let pattern: ThreatPattern
        let subject: ThreatSubject
    }

    private struct Entry {
        var threat: Threat
        var quietAt: Instant
        var toldAt: Instant
    }

    private var entries: [Key: Entry] = [:]
    package private(set) var activeCounts: [ThreatPattern: Int] = [:]
    /// Those that are over, the newest first.
    package private(set) var recent: [Threat] = []
    /// Since the start of the process.
    package private(set) var begun: [ThreatPattern: Int] = [:]
    /// Signs of threats that found no place.
    package private(set) var unlisted = 0

    package init() {}

    package var isQuiet: Bool { entries.isEmpty }

    /// The newest first.
    package var active: [Threat] {
        entries.values.map(\.threat).sorted { $0.began == $1.began ? $0.id < $1.id : $1.began < $0.began }
    }

    /// - Parameters:
    ///   - quiet: so long without a sign, and it is over.
    ///   - reminder: how often it is told that it goes on.
    ///   - id: for one that begins.
    package mutating func note(
        _ finding: ThreatFinding, from address: IPAddress?, quiet: Interval, reminder: Interval, at now: Instant,
        wall: WallTime, id: @autoclosure () -> String
    ) -> ThreatNews? {
        let key = Key(pattern: finding.pattern, subject: finding.subject)
        guard var entry = entries[key] else {
            guard activeCounts[finding.pattern, default: 0] < ThreatBook.mostActive else {
                unlisted += 1
                return nil
            }
            let threat = Threat(id: id(), finding, from: address, at: wall)
            entries[key] = Entry(threat: threat, quietAt: now + quiet, toldAt: now)
            begun[finding.pattern, default: 0] += 1
            activeCounts[finding.pattern, default: 0] += 1
            return ThreatNews(step: .began, threat: threat)
        }
        entry.quietAt = now + quiet
        entry.threat.signs += 1
        entry.threat.lastSign = wall
        entry.threat.address = address
        entry.threat.measures.failures = max(entry.threat.measures.failures, finding.measures.failures)
        entry.threat.measures.accounts = max(entry.threat.measures.accounts, finding.measures.accounts)
        entry.threat.measures.networks = max(entry.threat.measures.networks, finding.measures.networks)
        let isDue = entry.toldAt + reminder <= now
        if isDue { entry.toldAt = now }
        entries[key] = entry
        return isDue ? ThreatNews(step: .continues, threat: entry.threat) : nil
    }

    /// Ends what gave no sign for long enough.
    package mutating func sweep(at now: Instant, wall: WallTime) -> [ThreatNews] {
        end(entries.filter { $0.value.quietAt <= now }.map(\.key), at: wall)
    }

    /// Nothing is looked for any more.
    package mutating func endAll(at wall: WallTime) -> [ThreatNews] { end(Array(entries.keys), at: wall) }

    private mutating func end(_ keys: [Key], at wall: WallTime) -> [ThreatNews] {
        var over: [Threat] = []
        for key in keys {
            guard var threat = entries.removeValue(forKey: key)?.threat else { continue }
            activeCounts[key.pattern, default: 0] -= 1
            threat.ended = wall
            over.append(threat)
        }
        over.sort { $0.began == $1.began ? $0.id < $1.id : $0.began < $1.began }
        recent = Array((over.reversed() + recent).prefix(ThreatBook.mostRecent))
        return over.map { ThreatNews(step: .ended, threat: $0) }
    }
}
