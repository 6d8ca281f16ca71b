internal import Crypto
package import Settings

/// How the account of a login is found, and what stands for it.
package struct AccountRule: Sendable {
    private let reader: AccountReader
    private let key: KeyMaterial
    /// What becomes of a login whose account cannot be read.
    package let whenUnreadable: Configuration.Accounts.WhenUnreadable

    /// What the keys of one secret for two purposes must not have in common.
    private static let purpose = "gateway accounts"

    /// Nil: accounts are not looked at.
    package init?(_ configuration: Configuration) {
        guard let accounts = configuration.accounts, let key = AccountRule.key(of: accounts.secret) else { return nil }
        reader = AccountReader(accounts.members)
        self.key = key
        whenUnreadable = accounts.whenUnreadable
    }

    private static func key(of secret: Secret) -> KeyMaterial? {
        guard let material = try? KeyMaterial(secret: secret.revealed),
            let derived = material.code(of: Array(purpose.utf8).span, .hs256)
        else { return nil }
        return try? KeyMaterial(secret: derived)
    }

    /// - Parameters:
    ///   - query: without its question mark.
    ///   - body: as its backend gets it, without chunks.
    package func read(query: [UInt8], body: [UInt8]) -> AccountReading {
        switch reader.read(query: query, body: body) {
        case .name(let name): mark(normalised: name).map { .account($0) } ?? .unknown
        case .nothing: .unknown
        case .several: .ambiguous
        }
    }

    /// Of a name as an operator types it; nil: it is none.
    package func mark(of name: String) -> AccountMark? {
        AccountName.normalised(Array(name.utf8)).flatMap(mark(normalised:))
    }

    /// Nil only when OpenSSL fails.
    private func mark(normalised name: String) -> AccountMark? {
        guard let code = key.code(of: Array(name.utf8).span, .hs256), code.count == 32 else { return nil }
        func word(_ start: Int) -> UInt64 { code[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return AccountMark(high: word(0), low: word(8))
    }
}
