import Foundation
import Testing
import ThirdParty

@testable import Crypto

/// The signatures of others' vectors under their keys, whatever the rules for tokens and key sets make of them
/// (`ThirdPartyTokenTests` has those).
@Suite(.enabled(if: ThirdParty.isThere, "There are no third-party vectors beside the repository"))
struct `A signature among the vectors of others` {
    /// The key is not for this, or stands with others in a way that its authors reject; the signature itself is right.
    static let rightAllTheSame = [
        "json_web_crypto_test": [
            "17",  // the JSON serialisation
            "47",  // a secret beside a public key
        ],
        "json_web_key_test": [
            "1",  // a secret beside a public key
            "4",  // two keys of one kid
            "6",  // use is enc
            "19", "20",  // alg is ES521, ES224
            "21",  // use is enc
            "25", "26",  // alg is A256GCM, A256KW
        ],
        "json_web_signature_test": [
            "332", "334", "336", "338", "340",  // alg is that of the token, and not the key's
            "353", "354",  // use is enc
            "355", "356",  // key_ops is encrypt
            "367",  // the padding that it is named for is not in it
            "368", "369",  // the payload is not base64url
            "370",  // as 367
            "371", "375",  // as 368
        ],
    ]

    @Test func `verifies when it is valid, and else only where something other than the signature is wrong`() throws {
        var refused: [String] = []
        var verified: [String: [String]] = [:]
        for vector in try TokenVector.all() where !vector.isEncrypted {
            switch (vector.isValid, try Answer(to: vector)) {
            case (true, .verified), (false, .notVerified), (false, .keyRefused), (false, .unreadable): break
            case (false, .verified): verified[vector.file, default: []].append(vector.id)
            case (true, let answer): refused.append("\(vector.file) \(vector.id): \(answer)")
            }
        }
        #expect(verified == Self.rightAllTheSame)
        // A character that is no digit of base64url stands in the header, and in a payload that was signed without it.
        #expect(refused == ["json_web_signature_test 372: unreadable", "json_web_signature_test 373: notVerified"])
    }

    @Test func `is judged in so many cases of each kind`() throws {
        var counts: [Answer: Int] = [:]
        for vector in try TokenVector.all() where !vector.isEncrypted {
            counts[try Answer(to: vector), default: 0] += 1
        }
        #expect(counts == [.verified: 106, .notVerified: 322, .keyRefused: 21, .unreadable: 55])
    }
}

/// What becomes of a vector; of one with several signatures, the worst.
private enum Answer: Int, Comparable {
    case verified, notVerified
    /// No key of it is one that this algorithm can be verified with.
    case keyRefused
    /// It cannot be taken apart.
    case unreadable

    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    init(to vector: TokenVector) throws {
        let keys = try vector.keys.map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
        let signatures = Signed.all(in: vector)
        self = signatures.map { Answer(to: $0, keys) }.max() ?? .unreadable
    }

    private init(to signed: Signed, _ keys: [[String: Any]]) {
        guard let name = signed.algorithm, let signature = decoded(signed.signature) else {
            self = .unreadable
            return
        }
        self = .keyRefused
        guard let algorithm = SignatureAlgorithm(name: name) else { return }
        for key in keys {
            guard let material = try? KeyMaterial(jwk: key),
                let checker = try? SignatureChecker(material, algorithm)
            else { continue }
            let isRight = checker.verifies(signature.span, of: signed.message.span)
            if isRight {
                self = .verified
                return
            }
            self = .notVerified
        }
    }
}

/// One signature of a JWS, and what it is of.
private struct Signed {
    let message: [UInt8]
    let signature: String
    let algorithm: String?

    /// Of any serialisation (RFC 7515 §7).
    static func all(in vector: TokenVector) -> [Signed] {
        let parts = vector.token.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 3, !vector.token.hasPrefix("{") {
            // Detached content (RFC 7515, appendix F): the payload is told elsewhere.
            let isDetached = parts[1].isEmpty && vector.payload != nil
            return [Signed(parts[0], isDetached ? encoded(vector.payload!) : parts[1], parts[2], header: nil)]
        }
        guard let object = try? JSONSerialization.jsonObject(with: Data(vector.token.utf8)) as? [String: Any] else {
            return []
        }
        let payload = object["payload"] as? String ?? encoded(vector.payload ?? "")
        return (object["signatures"] as? [[String: Any]] ?? [object]).map { one in
            Signed(
                one["protected"] as? String ?? "", payload, one["signature"] as? String ?? "",
                header: one["header"] as? [String: Any])
        }
    }

    private init(_ protected: String, _ payload: String, _ signature: String, header: [String: Any]?) {
        message = Array("\(protected).\(payload)".utf8)
        self.signature = signature
        let bytes = decoded(protected)
        let own = bytes.flatMap { try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] }
        algorithm = own?["alg"] as? String ?? header?["alg"] as? String
    }
}

private func encoded(_ text: String) -> String {
    let bytes = Array(text.utf8)
    return Base64URL.encode(bytes.span)
}

private func decoded(_ text: String) -> [UInt8]? {
    let bytes = Array(text.utf8)
    return Base64URL.decode(bytes.span)
}

extension KeyMaterial {
    /// The key of a JWK, whatever else it says.
    fileprivate init(jwk: [String: Any]) throws {
        func bytes(_ name: String) throws -> [UInt8] {
            guard let bytes = (jwk[name] as? String).flatMap(decoded) else { throw KeyError.unreadable }
            return bytes
        }
        let curve = jwk["crv"] as? String ?? ""
        switch jwk["kty"] as? String {
        case "RSA":
            try self.init(rsaModulus: bytes("n"), exponent: bytes("e"))
        case "oct":
            try self.init(secret: bytes("k"))
        case "EC":
            guard let curve = Curve(rawValue: curve) else { throw KeyError.unsupportedKind }
            try self.init(curve: curve, x: bytes("x"), y: bytes("y"))
        case "OKP":
            guard let curve = EdwardsCurve(rawValue: curve) else { throw KeyError.unsupportedKind }
            try self.init(edwards: curve, x: bytes("x"))
        default:
            throw KeyError.unsupportedKind
        }
    }
}
