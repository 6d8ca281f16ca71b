/// The letters beyond ASCII that Unicode takes for ASCII ones in another case: dotless `ı` and dotted `İ` for `i`, long
/// `ſ` for `s`, the Kelvin sign for `k`. A backend that compares paths by these rules (`re.IGNORECASE` of Python,
/// `equalsIgnoreCase` of Java) serves `/adm%C4%B1n` as `/admin`.
package enum PlainLetters {
    private static let letters: [(spelling: StaticString, plain: UInt8)] = [
        ("%C4%B1", UInt8(ascii: "i")), ("%C4%B0", UInt8(ascii: "i")), ("%C5%BF", UInt8(ascii: "s")),
        ("%E2%84%AA", UInt8(ascii: "k")),
    ]

    /// The path with ASCII letters in their place; nil when there are none of them. Allocates.
    /// - Parameter path: canonical, so that what stays encoded is so in upper case.
    package static func reading(of path: Span<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(path.count)
        var index = 0
        while index < path.count {
            if path[index] == UInt8(ascii: "%"), let found = letter(path, at: index) {
                out.append(found.plain)
                index += found.length
            } else {
                out.append(path[index])
                index += 1
            }
        }
        return out.count < path.count ? out : nil
    }

    private static func letter(_ path: Span<UInt8>, at index: Int) -> (plain: UInt8, length: Int)? {
        for (spelling, plain) in letters {
            let length = spelling.utf8CodeUnitCount
            if path.count - index >= length, path.extracting(index..<index + length).equals(spelling) {
                return (plain, length)
            }
        }
        return nil
    }
}
