import Testing
import ThirdParty

@testable import Crypto
@testable import Policy
@testable import Settings

/// Another library's tokens, with keys made for this run. It signs with BoringSSL: nothing of it is the gateway's own.
@Suite(.enabled(if: MintedToken.areThere, "JWTKIT_TOKENS names no file of scripts/mint-jwtkit"))
struct `Beside JWTKit` {
    static let algorithms = [
        "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384",
        "RS512",
    ]

    @Test func `its tokens of every algorithm are verified, and with a bit of any byte changed they are not`() throws {
        let minted = try #require(try MintedToken.all().first)
        #expect(minted.map(\.algorithm).sorted() == Self.algorithms)
        let verifier = Mint.verifier(minted)
        for one in minted {
            let verified = try #require(verifier.verified(one.token), "\(one.algorithm)")
            #expect(verified.algorithm?.name == one.algorithm)
            #expect(verified.keyLabel == one.algorithm)
            #expect(verified.subject == Array("alice".utf8))
            let token = Array(one.token.utf8)
            for position in token.indices {
                var changed = token
                changed[position] ^= 1 << UInt8(position % 8)
                guard case .verified = verifier.verify(changed.span, at: Mint.now) else { continue }
                Issue.record("\(one.algorithm): byte \(position) may be another one")
            }
        }
    }

    @Test func `its tokens of other keys are refused`() throws {
        let all = try MintedToken.all()
        try #require(all.count == 2)
        for (verifier, minted) in [(Mint.verifier(all[0]), all[1]), (Mint.verifier(all[1]), all[0])] {
            for one in minted { #expect(verifier.reason(one.token) == .invalidSignature, "\(one.algorithm)") }
        }
    }
}

extension Mint {
    fileprivate static func verifier(_ minted: [MintedToken]) -> TokenVerifier {
        let keys = minted.map { one in
            one.secret.map { key(one.algorithm, secret: $0, algorithms: [one.algorithm]) }
                ?? pem(one.algorithm, one.pem ?? "", algorithms: [one.algorithm])
        }
        return verifier(tokens(keys))
    }
}
