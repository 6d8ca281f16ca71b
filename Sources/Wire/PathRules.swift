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
        var found: Kinds = []
        for index in path.indices {
            if path[index] == semicolon || isEncoded(path[...], index, "3B") { found.insert(.semicolon) }
            if isEncoded(path[...], index, "2F") { found.insert(.encodedSlash) }
            if isEncoded(path[...], index, "5C") { found.insert(.backslash) }
        }
        let all = segments(of: path)
        for (number, segment) in all.enumerated() {
            if isDots(segment) { found.insert(.dotSegments) }
            // The last one is empty behind a slash at the end.
            if segment.isEmpty, number < all.count - 1 { found.insert(.emptySegments) }
        }
        return found
    }

    /// Separators first, then semicolons, empty segments and dots. Nil: it climbs above the root.
    private static func read(_ path: [UInt8], _ kinds: Kinds) -> [UInt8]? {
        var separated: [UInt8] = []
        var index = 0
        while index < path.count {
            if kinds.contains(.encodedSlash) && isEncoded(path[...], index, "2F")
                || kinds.contains(.backslash) && isEncoded(path[...], index, "5C")
            {
                separated.append(slash)
                index += 3
            } else {
                separated.append(path[index])
                index += 1
            }
        }
        var read: [ArraySlice<UInt8>] = []
        let all = segments(of: separated)
        for (number, whole) in all.enumerated() {
            let isLast = number == all.count - 1
            let segment = kinds.contains(.semicolon) ? cut(whole) : whole
            if segment.isEmpty, !isLast, kinds.contains(.emptySegments) { continue }
            guard kinds.contains(.dotSegments), isDots(segment) else {
                read.append(segment)
                continue
            }
            if segment.count == 2 {
                if read.isEmpty { return nil }
                read.removeLast()
            }
            if isLast { read.append([]) }
        }
        if read.isEmpty { return [slash] }
        return read.reduce(into: []) { bytes, segment in
            bytes.append(slash)
            bytes += segment
        }
    }

    /// Behind the slash that begins the path.
    private static func segments(of path: [UInt8]) -> [ArraySlice<UInt8>] {
        path.dropFirst().split(separator: slash, omittingEmptySubsequences: false)
    }

    private static func isDots(_ segment: ArraySlice<UInt8>) -> Bool {
        (1...2).contains(segment.count) && segment.allSatisfy { $0 == UInt8(ascii: ".") }
    }

    private static func cut(_ segment: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        for index in segment.indices where segment[index] == semicolon || isEncoded(segment, index, "3B") {
            return segment[..<index]
        }
        return segment
    }

    /// Whether `%` and these two digits stand at `index`. Digits are in upper case already.
    private static func isEncoded(
        _ path: ArraySlice<UInt8>, _ index: Int, _ digits: StaticString
    ) -> Bool {
        index + 2 < path.endIndex && path[index] == UInt8(ascii: "%") && path[index + 1] == digits.utf8Start[0]
            && path[index + 2] == digits.utf8Start[1]
    }
}

private let slash = UInt8(ascii: "/")
private let semicolon = UInt8(ascii: ";")
