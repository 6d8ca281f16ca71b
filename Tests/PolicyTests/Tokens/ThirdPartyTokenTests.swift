import Testing
import ThirdParty

@testable import Crypto
@testable import Policy

/// Tokens and key sets of others' vectors, judged as a request's token is. Their payloads are no claims: a token counts
/// as accepted when its signature was found to be right under the keys, and its payload can be decoded.
@Suite struct `A token among the vectors of others` {
    private static let isThere = ThirdParty.isThere
    private static let absence: Comment = "There are no third-party vectors beside the repository"

    @Test(.enabled(if: isThere, absence))
    func `is accepted when it is valid and refused when it is not, but for what the page lists`() throws {
        var outcomes: [String: Outcome] = [:]
        var departed: [String: Int] = [:]
        for vector in try TokenVector.all() {
            let answer = Answer(to: vector)
            outcomes[vector.file, default: Outcome()].count(vector, answer)
            guard vector.isValid != (answer == .accepted) else { continue }
            let departure = Departure.all.first { $0.covers(vector, answer) }
            #expect(departure != nil, "\(vector) is \(answer)")
            departed[departure?.name ?? "", default: 0] += 1
        }
        #expect(outcomes == Dictionary(uniqueKeysWithValues: Outcome.expected.map { ($0.file, $0.outcome) }))
        #expect(departed == Dictionary(uniqueKeysWithValues: Departure.all.map { ($0.name, $0.vectors) }))
    }

    @Test(.enabled(if: isThere, absence))
    func `is refused for what is wrong with it`() throws {
        let reasons: [String: Reason] = [
            "ModifiedPadding": .invalidSignature, "ModifiedSignature": .invalidSignature, "AlgIsNone": .algNotAllowed,
            "JsonSerialization": .invalidToken,
        ]
        var checked = 0
        for vector in try TokenVector.all() where !vector.isValid {
            let reason = vector.isEncrypted ? .invalidToken : vector.flags.lazy.compactMap { reasons[$0] }.first
            guard let reason else { continue }
            checked += 1
            #expect(Answer(to: vector) == .refused(reason), "\(vector)")
        }
        #expect(checked == 370)
    }

    @Test func `is counted on the page about conformance`() throws {
        let rows = try ThirdParty.page("conformance.md").split(separator: "\n").map(String.init)
        for row in Outcome.expected.map(\.row) + [Outcome.sum] + Departure.all.map(\.row) {
            let isThere = rows.contains(row)
            #expect(isThere, "docs/conformance.md has no row \(row)")
        }
    }
}

private enum Answer: Equatable {
    case accepted
    case refused(Reason)

    init(to vector: TokenVector) {
        switch Mint.verifier(Mint.tokens([Mint.jwks("vectors", vector.keys)])).verify(vector.token) {
        case .verified: self = .accepted
        case .refused(let refusal):
            let isWhole = refusal.isSigned && Self.isEncoded(vector.token.split(separator: ".")[1])
            self = isWhole ? .accepted : .refused(refusal.reason)
        }
    }

    private static func isEncoded(_ payload: Substring) -> Bool {
        let bytes = Array(payload.utf8)
        return Base64URL.decode(bytes.span) != nil
    }
}

/// What became of the vectors of one file: as their authors expect, or otherwise.
private struct Outcome: Equatable {
    var accepted = 0
    var refused = 0
    var refusedOnPurpose = 0
    var acceptedOnPurpose = 0

    mutating func count(_ vector: TokenVector, _ answer: Answer) {
        switch (vector.isValid, answer) {
        case (true, .accepted): accepted += 1
        case (false, .refused): refused += 1
        case (true, .refused): refusedOnPurpose += 1
        case (false, .accepted): acceptedOnPurpose += 1
        }
    }

    mutating func add(_ other: Outcome) {
        accepted += other.accepted
        refused += other.refused
        refusedOnPurpose += other.refusedOnPurpose
        acceptedOnPurpose += other.acceptedOnPurpose
    }

    var cells: String {
        let vectors = accepted + refused + refusedOnPurpose + acceptedOnPurpose
        return "| \(vectors) | \(accepted) | \(refused) | \(refusedOnPurpose) | \(acceptedOnPurpose) |"
    }
}

extension Outcome {
    fileprivate struct Expected {
        let file: String
        let outcome: Outcome

        init(
            _ file: String, accepted: Int, refused: Int = 0, otherwise refusedOnPurpose: Int,
            _ acceptedOnPurpose: Int = 0
        ) {
            self.file = file
            outcome = Outcome(
                accepted: accepted, refused: refused, refusedOnPurpose: refusedOnPurpose,
                acceptedOnPurpose: acceptedOnPurpose)
        }

        var row: String { "| `\(file)` \(outcome.cells)" }
    }

    fileprivate static let expected = [
        Expected("json_web_crypto_test", accepted: 4, refused: 77, otherwise: 2),
        Expected("json_web_encryption_test", accepted: 0, refused: 74, otherwise: 65),
        Expected("json_web_key_test", accepted: 5, refused: 20, otherwise: 0, 1),
        Expected("json_web_signature_test", accepted: 40, refused: 353, otherwise: 6, 2),
        Expected("curve25519_jws", accepted: 1, otherwise: 2),
        Expected("jws_4_1.rsa_v15_signature", accepted: 1, otherwise: 2),
        Expected("jws_4_2.rsa-pss_signature", accepted: 1, otherwise: 2),
        Expected("jws_4_3.ecdsa_signature", accepted: 1, otherwise: 2),
        Expected("jws_4_4.hmac-sha2_integrity_protection", accepted: 1, otherwise: 2),
        Expected("jws_4_5.signature_with_detached_content", accepted: 0, otherwise: 3),
        Expected("jws_4_6.protecting_specific_header_fields", accepted: 0, otherwise: 2),
        Expected("jws_4_7.protecting_content_only", accepted: 0, otherwise: 2),
        Expected("jws_4_8.multiple_signatures", accepted: 0, otherwise: 1),
        Expected("rfc7797_4.2.hmac-sha2_b64_false", accepted: 0, otherwise: 2),
        Expected("rfc7797_hmac-sha2_b64_false", accepted: 0, otherwise: 3),
    ]

    fileprivate static var sum: String {
        "| together " + expected.reduce(into: Outcome()) { $0.add($1.outcome) }.cells
    }
}

/// Vectors that are not judged as their authors expect, with the reason why not.
private struct Departure {
    let name: String
    let vectors: Int
    let answer: Answer
    let why: String
    let includes: @Sendable (TokenVector) -> Bool

    func covers(_ vector: TokenVector, _ answer: Answer) -> Bool { answer == self.answer && includes(vector) }

    var row: String {
        let verdict =
            switch answer {
            case .accepted: "accepted"
            case .refused(let reason): "`\(reason.rawValue)`"
            }
        return "| \(name) | \(vectors) | \(verdict) | \(why) |"
    }

    private static func of(_ file: String, _ ids: String...) -> @Sendable (TokenVector) -> Bool {
        { $0.file == file && ids.contains($0.id) }
    }

    static let all: [Departure] = [
        Departure(
            name: "encrypted tokens", vectors: 67, answer: .refused(.invalidToken),
            why: "five parts (RFC 7516 §3): the gateway has no keys to decrypt with", includes: \.isEncrypted),
        Departure(
            name: "JSON serialisations", vectors: 21, answer: .refused(.invalidToken),
            why: "RFC 7519 §3: a JWT is always in the compact serialisation",
            includes: { !$0.isEncrypted && $0.token.hasPrefix("{") }),
        Departure(
            name: "detached content", vectors: 1, answer: .refused(.invalidSignature),
            why: "RFC 7515, appendix F: the payload is not in the token, so it has no claims",
            includes: of("jws_4_5.signature_with_detached_content", "compact")),
        Departure(
            name: "a payload that is not encoded (`b64`: false)", vectors: 1, answer: .refused(.invalidToken),
            why: "RFC 7797 §7: not for JWTs", includes: of("rfc7797_hmac-sha2_b64_false", "compact")),
        Departure(
            name: "a key for PS256, a token with PS384", vectors: 2, answer: .refused(.algNotAllowed),
            why: "RFC 8725 §3.1: a key that names its algorithm is used with no other",
            includes: of("json_web_signature_test", "346", "350")),
        Departure(
            name: "a key for ES521", vectors: 2, answer: .refused(.algNotAllowed),
            why: "there is no such algorithm; ES512 is meant (RFC 7518 §3.4)",
            includes: of("json_web_signature_test", "347", "351")),
        Departure(
            name: "a `?` in the header", vectors: 1, answer: .refused(.invalidToken),
            why: "RFC 7515 §2: base64url and no other character, or a token has two spellings",
            includes: of("json_web_signature_test", "372")),
        Departure(
            name: "a `?` in the payload", vectors: 1, answer: .refused(.invalidSignature),
            why: "the same; the signature is of a payload without it", includes: of("json_web_signature_test", "373")),
        Departure(
            name: "padding that is not there", vectors: 2, answer: .accepted,
            why: "both are named for it, but hold strict base64url and a right signature",
            includes: of("json_web_signature_test", "367", "370")),
        Departure(
            name: "a set with two secrets of one kid", vectors: 1, answer: .accepted,
            why: "RFC 7517 §4.5: they *should* differ. Both are of one source and are tried; the operator is warned",
            includes: of("json_web_key_test", "4")),
    ]
}
