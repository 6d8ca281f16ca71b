/// How many letters must be changed, put in, left out or swapped with their neighbour to make `b` of `a` (optimal
/// string alignment: `upstraem` is one step from `upstream`).
func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        for j in 0..<b.count {
            var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
            row.append(best)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}

/// The candidate that was probably meant: case, `-` and `_` aside, at most a third of the letters differ. The first of
/// equals, so the order of the rows decides.
package func closest(to text: String, among candidates: [String]) -> String? {
    guard text.utf8.count <= 64 else { return nil }
    func folded(_ word: String) -> String { word.lowercased().filter { $0 != "_" && $0 != "-" } }
    let wanted = folded(text)
    let allowed = max(1, wanted.utf8.count / 3)
    let scored = candidates.map { (candidate: $0, distance: editDistance(wanted, folded($0))) }
    guard let best = scored.min(by: { $0.distance < $1.distance }), best.distance <= allowed else { return nil }
    return best.candidate
}
