/// What a program behind the gateway may make of a path: a few steps, in an order of its own.
enum Reading {
    enum Step: CaseIterable {
        /// `%2F` is taken for a slash.
        case encodedSlashes
        /// `%5C` is taken for a slash.
        case backslashes
        /// Segments are cut off at `;` or `%3B`.
        case parameters
        /// Empty segments are left out.
        case emptySegments
        /// `.` and `..` are resolved (RFC 3986 §5.2.4).
        case dotSegments

        static let all = Step.allCases
    }

    /// Up to eight steps; some twice, some not at all.
    static func order(seed: UInt64) -> [Step] {
        var rest = seed ^ seed >> 29
        let count = Int(rest % 9)
        rest /= 9
        return (0..<count).map { _ in
            defer { rest /= 5 }
            return Step.all[Int(rest % 5)]
        }
    }

    /// Nil: it gets above the root.
    static func of(_ path: [UInt8], _ steps: [Step]) -> [UInt8]? {
        var path = path
        for step in steps {
            switch step {
            case .encodedSlashes: path = replacing("%2F", in: path, by: slash)
            case .backslashes: path = replacing("%5C", in: path, by: slash)
            case .parameters: path = joined(segments(path).map(withoutParameters))
            case .emptySegments:
                let all = segments(path)
                // The last one is what stands behind a slash at the end.
                path = joined(all.dropLast().filter { !$0.isEmpty } + [all[all.count - 1]])
            case .dotSegments:
                guard let resolved = resolved(segments(path)) else { return nil }
                path = joined(resolved)
            }
        }
        return path
    }

    /// Every `%XX` as its byte, once; a `%` without two digits stays.
    static func decoded(_ path: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var index = 0
        while index < path.count {
            if path[index] == UInt8(ascii: "%"), index + 2 < path.count,
                let value = UInt8(String(decoding: path[index + 1...index + 2], as: UTF8.self), radix: 16),
                path[index + 1] != UInt8(ascii: "+"), path[index + 1] != UInt8(ascii: "-")
            {
                out.append(value)
                index += 3
            } else {
                out.append(path[index])
                index += 1
            }
        }
        return out
    }

    /// Behind the first slash; at least one.
    private static func segments(_ path: [UInt8]) -> [[UInt8]] {
        path.dropFirst().split(separator: slash, omittingEmptySubsequences: false).map { Array($0) }
    }

    private static func joined(_ segments: [[UInt8]]) -> [UInt8] {
        [slash] + segments.joined(separator: [slash])
    }

    private static func replacing(_ encoded: String, in path: [UInt8], by byte: UInt8) -> [UInt8] {
        let encoded = Array(encoded.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < path.count {
            if path[index...].starts(with: encoded) {
                out.append(byte)
                index += encoded.count
            } else {
                out.append(path[index])
                index += 1
            }
        }
        return out
    }

    private static func withoutParameters(_ segment: [UInt8]) -> [UInt8] {
        let encoded = Array("%3B".utf8)
        let end = segment.indices.first { segment[$0] == UInt8(ascii: ";") || segment[$0...].starts(with: encoded) }
        return Array(segment[..<(end ?? segment.count)])
    }

    private static func resolved(_ segments: [[UInt8]]) -> [[UInt8]]? {
        var out: [[UInt8]] = []
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch String(decoding: segment, as: UTF8.self) {
            case ".": if isLast { out.append([]) }
            case "..":
                guard out.popLast() != nil else { return nil }
                if isLast { out.append([]) }
            default: out.append(segment)
            }
        }
        return out
    }
}

private let slash = UInt8(ascii: "/")
