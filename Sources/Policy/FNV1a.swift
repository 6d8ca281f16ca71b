/// The hash FNV-1a of 64 bits, byte by byte. Without a secret: for tables that are the operator's and do not grow with what
/// clients send, and where every process must come to the same.
enum FNV1a {
    static var seed: UInt64 { 0xcbf2_9ce4_8422_2325 }

    /// The hash of what `hash` stands for and one byte more.
    @inline(__always)
    static func hash(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
