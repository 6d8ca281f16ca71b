/// What a route does with spellings that programs read in two ways. The default refuses all of them.
package struct PathRules: Hashable, Sendable {
    package enum Handling: String, CaseIterable, Sendable {
        case refuse
        /// Brought into the plain form: decoded, cut off or resolved.
        case normalise
        /// Forwarded as it is, if no reading of it leads to another route or to a login.
        case keep
    }

    /// `%2F`.
    package var encodedSlash = Handling.refuse
    /// `\` and `%5C`, which some take for a slash.
    package var backslash = Handling.refuse
    /// `;` and `%3B`, from where on some cut a segment off.
    package var semicolon = Handling.refuse
    /// `//`.
    package var emptySegments = Handling.refuse
    /// `.` and `..`.
    package var dotSegments = Handling.refuse

    package init() {}

    /// The spellings that are handled so.
    func kinds(_ handling: Handling) -> UnusualPath.Kinds {
        var kinds: UnusualPath.Kinds = []
        if encodedSlash == handling { kinds.insert(.encodedSlash) }
        if backslash == handling { kinds.insert(.backslash) }
        if semicolon == handling { kinds.insert(.semicolon) }
        if emptySegments == handling { kinds.insert(.emptySegments) }
        if dotSegments == handling { kinds.insert(.dotSegments) }
        return kinds
    }
}

/// A path with spellings that programs read in two ways, and all the ways to read it.
///
/// A program may decode or not, cut off what stands behind a semicolon or not, drop empty segments, resolve dot segments,
/// and do so in an order of its own. Every path that comes of it is a reading. Allocates: only for paths that would be
/// refused without rules.
package struct UnusualPath: Sendable {
    package struct Kinds: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let encodedSlash = Kinds(rawValue: 1)
        package static let backslash = Kinds(rawValue: 2)
        package static let semicolon = Kinds(rawValue: 4)
        package static let emptySegments = Kinds(rawValue: 8)
        package static let dotSegments = Kinds(rawValue: 16)
        package static let all = Kinds(rawValue: 31)
        static let each: [Kinds] = [.encodedSlash, .backslash, .semicolon, .emptySegments, .dotSegments]
    }

    /// A path with more of them was made to have them.
    private static let mostReadings = 32

    /// In canonical form but for what `Kinds` names.
    private let bytes: [UInt8]

    /// Nil when the path has something that no rule allows: a control byte, an encoding that is broken, double or not
    /// UTF-8, or no slash at its beginning.
    package init?(_ path: Span<UInt8>) {
        guard let bytes = CanonicalPath.canonicalButForUnusual(path) else { return nil }
        self.bytes = bytes
    }

    /// The reading of somebody who interprets everything, from the separators to the dots; the route is chosen by it. Nil:
    /// it climbs above the root.
    package var plainest: [UInt8]? { UnusualPath.read(bytes, .all) }

    /// What is forwarded under these rules, and every way to read it, the one of somebody who interprets nothing first.
    /// Nil when the rules refuse one of them.
    package func admitted(by rules: PathRules) -> (forwarded: [UInt8], readings: [[UInt8]])? {
        guard let forwarded = UnusualPath.read(bytes, rules.kinds(.normalise)) else { return nil }
        // Some programs take what stands behind two slashes at the beginning for a host (RFC 3986 §4.2).
        if forwarded.starts(with: [slash, slash]) { return nil }
        let refused = rules.kinds(.refuse)
        var readings = [forwarded]
        var next = 0
        while next < readings.count {
            let reading = readings[next]
            next += 1
            guard UnusualPath.kinds(in: reading).isDisjoint(with: refused) else { return nil }
            for kind in Kinds.each where !refused.contains(kind) {
                guard let further = UnusualPath.read(reading, kind) else { return nil }
                if !readings.contains(further) { readings.append(further) }
            }
            if readings.count > UnusualPath.mostReadings { return nil }
        }
        return (forwarded, readings)
    }

    /// Which unusual spellings the path has.
    private static func kinds(in path: [UInt8]) -> Kinds {
        let bytes = path.span
        var found: Kinds = []
        var start = 1
        for index in 1...bytes.count {
            guard index == bytes.count || bytes[index] == slash else {
                found.formUnion(spelling(bytes, at: index))
                continue
            }
            if isDots(bytes, start..<index) { found.insert(.dotSegments) }
            // The last one is empty behind a slash at the end.
            if start == index, index < bytes.count { found.insert(.emptySegments) }
            start = index + 1
        }
        return found
    }

    /// Separators first, then semicolons, empty segments and dots. Nil: it climbs above the root.
    private static func read(_ path: [UInt8], _ kinds: Kinds) -> [UInt8]? {
        let bytes = path.span
        let separators = kinds.intersection([.encodedSlash, .backslash])
        var out: [UInt8] = [slash]
        out.reserveCapacity(bytes.count)
        // Of the segment that is being written, in `out`.
        var start = 1
        var isCut = false
        var index = 1
        while true {
            let isLast = index == bytes.count
            let kind = isLast ? [] : spelling(bytes, at: index)
            let isEncoded = !kind.isDisjoint(with: separators)
            guard isLast || isEncoded || bytes[index] == slash else {
                if kind == .semicolon, kinds.contains(.semicolon) { isCut = true }
                if !isCut { out.append(bytes[index]) }
                index += 1
                continue
            }
            isCut = false
            index += isEncoded ? 3 : 1
            let length = out.count - start
            if kinds.contains(.dotSegments), isDots(out.span, start..<out.count) {
                out.removeLast(length)
                if length == 2 {
                    guard start > 1 else { return nil }
                    out.removeLast()
                    while out.last != slash { out.removeLast() }
                    start = out.count
                }
                if isLast { return out }
            } else if isLast {
                return out
            } else if length > 0 || !kinds.contains(.emptySegments) {
                out.append(slash)
                start = out.count
            }
        }
    }

    private static func isDots(_ path: Span<UInt8>, _ segment: Range<Int>) -> Bool {
        guard (1...2).contains(segment.count) else { return false }
        for index in segment where path[index] != UInt8(ascii: ".") { return false }
        return true
    }

    /// What stands at `index`. Digits are in upper case already.
    private static func spelling(_ path: Span<UInt8>, at index: Int) -> Kinds {
        switch path[index] {
        case UInt8(ascii: ";"): return .semicolon
        case UInt8(ascii: "%") where index + 2 < path.count:
            switch (path[index + 1], path[index + 2]) {
            case (UInt8(ascii: "2"), UInt8(ascii: "F")): return .encodedSlash
            case (UInt8(ascii: "5"), UInt8(ascii: "C")): return .backslash
            case (UInt8(ascii: "3"), UInt8(ascii: "B")): return .semicolon
            default: return []
            }
        default: return []
        }
    }
}

private let slash = UInt8(ascii: "/")
