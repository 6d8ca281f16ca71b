import FuzzTargets
import Glibc

/// The target that the variable FUZZ_TARGET names. libFuzzer calls it on the thread that made it.
enum Chosen {
    nonisolated(unsafe) private static let target: any FuzzTarget = {
        guard let name = getenv("FUZZ_TARGET"), let target = FuzzTargets.named(String(cString: name)) else {
            fatalError("FUZZ_TARGET names none of \(FuzzTargets.all.map { $0.name })")
        }
        return target
    }()

    static func check(_ input: UnsafeBufferPointer<UInt8>) {
        do throws(Finding) {
            try target.check(Array(input))
        } catch {
            fatalError("it does not hold that \(error)")
        }
    }
}
