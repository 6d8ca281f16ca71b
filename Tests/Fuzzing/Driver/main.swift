import CLibFuzzer
import Glibc

// libFuzzer starts this program again with the same arguments (-merge, -fork), so the target is not one of them.
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        Chosen.check(UnsafeBufferPointer(start: bytes, count: count))
        return 0
    })
