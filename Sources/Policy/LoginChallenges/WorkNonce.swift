internal import Crypto
package import Wire

/// A challenge that takes work: a text behind which a number must be found, so that the SHA-256 of both begins with zero
/// bits. Text, full stop and number have at most 55 bytes, which is one block of SHA-256: the work is the same for everybody.
///
/// `version expires difficulty salt seal`, in base64url: 1, 5, 1, 8 and 16 bytes.
package struct WorkNonce: Hashable, Sendable {
    /// Seconds since 1970.
    let expires: Int64
    let difficulty: Int
    private let salt: [UInt8]
    /// Of everything before it and of whose it is.
    var seal: [UInt8] = []

    static let sealBytes = 16
    private static let saltBytes = 8
    private static let version: UInt8 = 1
    private static let claimBytes = 15
    private static let textBytes = 42
    private static let mostDigits = 12

    init(expires: Int64, difficulty: Int, salt: [UInt8]) {
        self.expires = expires
        self.difficulty = difficulty
        self.salt = Array(salt.prefix(WorkNonce.saltBytes))
    }

    /// What is under the seal.
    var claims: [UInt8] {
        let end = stride(from: Int64(32), through: 0, by: -8).map { UInt8(truncatingIfNeeded: expires >> $0) }
        return [WorkNonce.version] + end + [UInt8(difficulty)] + salt
    }

    /// What the client gets.
    package var text: String { Base64URL.encode((claims + seal).span) }

    package var expiresAt: WallTime { WallTime(seconds: expires) }

    /// The challenge that is the beginning of a solution: `<nonce>.<number>`. Nil: it has not that form. Whether it is one of
    /// ours only the seal tells.
    init?(ofSolution text: Span<UInt8>) {
        let digits = text.count - WorkNonce.textBytes - 1
        guard (1...WorkNonce.mostDigits).contains(digits), text[WorkNonce.textBytes] == UInt8(ascii: ".") else {
            return nil
        }
        for index in WorkNonce.textBytes + 1..<text.count where !Characters.isDigit(text[index]) { return nil }
        guard let bytes = Base64URL.decode(text.extracting(0..<WorkNonce.textBytes)),
            bytes.count == WorkNonce.claimBytes + WorkNonce.sealBytes, bytes[0] == WorkNonce.version
        else { return nil }
        self.init(
            expires: bytes[1...5].reduce(0) { $0 << 8 | Int64($1) }, difficulty: Int(bytes[6]),
            salt: Array(bytes[7..<15]))
        seal = Array(bytes[WorkNonce.claimBytes...])
    }

    static func leadingZeros(of digest: [UInt8]) -> Int {
        guard let first = digest.firstIndex(where: { $0 != 0 }) else { return 8 * digest.count }
        return 8 * first + digest[first].leadingZeroBitCount
    }
}
