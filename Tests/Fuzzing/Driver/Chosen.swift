import FuzzTargets
import Glibc

/// The target that the variable FUZZ_TARGET names. libFuzzer calls it on the thread that made it.
enum Chosen {
    /// Gone before leaks are looked for at the end: references that stand in cases of an enum are not recognised there, so
    /// what the target still holds would be reported.
    nonisolated(unsafe) private static var target: (any FuzzTarget)? = {
        guard let name = getenv("FUZZ_TARGET"), let target = FuzzTargets.named(String(cString: name)) else {
            fatalError("FUZZ_TARGET names none of \(FuzzTargets.all.map { $0.name })")
        }
        atexit { Chosen.target = nil }
        return target
    }()

    static func check(_ input: UnsafeBufferPointer<UInt8>) {
        do throws(Finding) {
            try target?.check(Array(input))
        } catch {
            fatalError("it does not hold that \(error)")
        }
    }
}
