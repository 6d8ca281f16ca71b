/// Something that reads bytes of strangers, and what must hold whatever they are. To add one: a file with a class of this
/// kind, a line in `FuzzTargets.all`, and a first input in `corpus/<name>` (docs/fuzzing.md).
package protocol FuzzTarget: AnyObject {
    /// As `scripts/fuzz` and the directory of the corpus call it.
    static var name: String { get }

    init()

    /// Judges one input. What was judged before must not matter, or a finding could not be shown again.
    /// - Throws: the property that the input broke. A trap is a finding too.
    func check(_ input: [UInt8]) throws(Finding)
}

package enum FuzzTargets {
    package static let all: [any (FuzzTarget & SendableMetatype).Type] = [
        HeadTarget.self, BodyTarget.self, ResponseTarget.self, PathTarget.self, TokenTarget.self, SettingsTarget.self,
        WebSocketTarget.self, ProxyTarget.self, FetchedTarget.self, CheckTarget.self,
        FeedTarget.self,
        AccountTarget.self,
        ChallengeTarget.self,
    ]

    /// Nil: there is none of that name.
    package static func named(_ name: String) -> (any FuzzTarget)? { all.first { $0.name == name }?.init() }
}

/// A property that did not hold, in words.
package struct Finding: Error, CustomStringConvertible {
    package let description: String

    init(_ property: StaticString) { description = "\(property)" }
}

/// - Parameter property: what `condition` stands for, as a sentence that is true of every good input.
func require(_ condition: Bool, _ property: StaticString) throws(Finding) {
    guard condition else { throw Finding(property) }
}

extension Span<UInt8> {
    var array: [UInt8] { withUnsafeBufferPointer { Array($0) } }
}

extension [UInt8] {
    /// A number that depends on every byte: FNV-1a. Chooses what is tried with an input, the same at every run.
    var checksum: UInt64 { reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 } }
}
