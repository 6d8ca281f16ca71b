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
    /// Of a success: logins from the network of one of them had failed before it.
    package fileprivate(set) var isFromFailing: Bool
    /// Where the last sign came from.
    package fileprivate(set) var address: IPAddress?
    /// Of the last sign whose request is known, as access log and backend have it.
    package fileprivate(set) var trace: ThreatTrace?

    package init(
        id: String, _ finding: ThreatFinding, from address: IPAddress?, _ trace: ThreatTrace?, at wall: WallTime
    ) {
        self.id = id
        pattern = finding.pattern
        subject = finding.subject
        measures = finding.measures
        began = wall
        lastSign = wall
        isFromFailing = finding.isFromFailing
        self.address = address
        self.trace = trace
    }
}

/// What a login is found by again.
package struct ThreatTrace: Hashable, Sendable {
    package let requestID: String
    package let traceID: String

    package init(requestID: String, traceID: String) {
        self.requestID = requestID
        self.traceID = traceID
    }
}

/// What is to be told of a threat.
package struct ThreatNews: Hashable, Sendable {
    package enum Step: String, CaseIterable, Sendable {
        case began, continues, ended
    }
    package let step: Step
    package let threat: Threat
    /// It goes on, and is many times what it was when it was told last.
    package var isGrown = false
    /// It begins, and is the only one of its pattern.
    package var isFirst = false
}

/// Makes one threat of many signs: told when it begins, now and again while it goes on, and when it is over. What it
/// keeps has a bound; signs beyond it are counted.
package struct ThreatBook: Sendable {
    /// Of each pattern and kind of subject: who makes up many of one keeps none of another from being told.
    package static let mostActive = 128
    /// Of each pattern.
    package static let mostRecent = 64
    /// What was ten has become forty: a second attack, or another one than it seemed.
    private static let growth = 4
    private static let leastGrown = 10

    private struct Key: Hashable {
        let pattern: ThreatPattern
        let subject: ThreatSubject
    }

    private struct Slot: Hashable {
        let pattern: ThreatPattern
        let kind: String

        init(_ key: Key) { (pattern, kind) = (key.pattern, key.subject.kind) }
    }

    private struct Entry {
        var threat: Threat
        var quietAt: Instant
        var toldAt: Instant
        /// What was counted when it was told.
        var told: ThreatMeasures

        func hasGrown(to measures: ThreatMeasures) -> Bool {
            func isMuch(_ now: Int, than then: Int) -> Bool {
                now >= max(then, ThreatBook.leastGrown) * ThreatBook.growth
            }
            return isMuch(measures.failures, than: told.failures) || isMuch(measures.accounts, than: told.accounts)
                || isMuch(measures.networks, than: told.networks)
        }
    }

    private var entries: [Key: Entry] = [:]
    package private(set) var activeCounts: [ThreatPattern: Int] = [:]
    private var slots: [Slot: Int] = [:]
    /// Those that are over, the newest first.
    package private(set) var recent: [Threat] = []
    /// Since the start of the process.
    package private(set) var begun: [ThreatPattern: Int] = [:]
    /// Signs of threats that found no place.
    package private(set) var unlisted: [ThreatPattern: Int] = [:]

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
        _ finding: ThreatFinding, from address: IPAddress?, _ trace: ThreatTrace? = nil, quiet: Interval,
        reminder: Interval, at now: Instant, wall: WallTime, id: @autoclosure () -> String
    ) -> [ThreatNews] {
        let key = Key(pattern: finding.pattern, subject: finding.subject)
        guard var entry = entries[key] else {
            var news: [ThreatNews] = []
            if slots[Slot(key), default: 0] >= ThreatBook.mostActive {
                // An attacker can make as many successes as he has accounts. That of his victim is told all the same.
                guard finding.pattern == .successAfterFailures, let oldest = oldest(like: key) else {
                    unlisted[finding.pattern, default: 0] += 1
                    return []
                }
                news = end([oldest], at: wall)
            }
            let threat = Threat(id: id(), finding, from: address, trace, at: wall)
            entries[key] = Entry(threat: threat, quietAt: now + quiet, toldAt: now, told: finding.measures)
            begun[finding.pattern, default: 0] += 1
            activeCounts[finding.pattern, default: 0] += 1
            slots[Slot(key), default: 0] += 1
            let isFirst = activeCounts[finding.pattern] == 1
            return news + [ThreatNews(step: .began, threat: threat, isFirst: isFirst)]
        }
        entry.quietAt = now + quiet
        entry.threat.signs += 1
        entry.threat.lastSign = wall
        entry.threat.address = address
        entry.threat.trace = trace ?? entry.threat.trace
        entry.threat.isFromFailing = entry.threat.isFromFailing || finding.isFromFailing
        entry.threat.measures.failures = max(entry.threat.measures.failures, finding.measures.failures)
        entry.threat.measures.accounts = max(entry.threat.measures.accounts, finding.measures.accounts)
        entry.threat.measures.networks = max(entry.threat.measures.networks, finding.measures.networks)
        let isGrown = entry.hasGrown(to: finding.measures)
        let isDue = isGrown || entry.toldAt + reminder <= now
        if isDue { (entry.toldAt, entry.told) = (now, finding.measures) }
        entries[key] = entry
        return isDue ? [ThreatNews(step: .continues, threat: entry.threat, isGrown: isGrown)] : []
    }

    /// The one without a sign for the longest time.
    private func oldest(like key: Key) -> Key? {
        entries.filter { Slot($0.key) == Slot(key) }.min {
            ($0.value.threat.lastSign, $0.value.threat.id) < ($1.value.threat.lastSign, $1.value.threat.id)
        }?.key
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
            slots[Slot(key), default: 0] -= 1
            threat.ended = wall
            over.append(threat)
        }
        over.sort { $0.began == $1.began ? $0.id < $1.id : $0.began < $1.began }
        var kept: [ThreatPattern: Int] = [:]
        recent = (over.reversed() + recent).filter {
            kept[$0.pattern, default: 0] += 1
            return kept[$0.pattern, default: 0] <= ThreatBook.mostRecent
        }
        return over.map { ThreatNews(step: .ended, threat: $0) }
    }
}
