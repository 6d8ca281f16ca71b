package import Crypto
package import Settings

/// The keys that tokens are verified with: immutable, made on the control thread, sent to every worker.
package struct KeySet: Sendable {
    package struct Key: Sendable {
        /// For logs: the id of the setting, for a key of a JWKS followed by its kid or place (`idp/2024-05`, `idp/#3`).
        package let label: String
        package let algorithms: SignatureAlgorithms
        /// The kid that selects the key; of a secret or PEM its id.
        let kid: [UInt8]?
        /// A secret or PEM, or a JWK without kid: nobody promised that tokens name it.
        let kidIsOptional: Bool
        let isFromJWKS: Bool
        let material: KeyMaterial
    }

    package let keys: [Key]

    package static let empty = KeySet(keys: [])

    /// More keys than this are never tried for one token: each try costs a signature check that anybody can ask for.
    static let maximumCandidates = 4
    /// Keys of one JWKS; what follows is reported and left out.
    static let maximumKeysOfJWKS = 256

    init(keys: [Key]) { self.keys = keys }

    /// Reads every key that the configuration names. A key that cannot be used is left out and reported; whether that
    /// stops the start is the caller's decision (`KeyProblem.Severity`).
    package static func build(from tokens: Configuration.Tokens) -> (keys: KeySet, problems: [KeyProblem]) {
        var keys: [Key] = []
        var problems: [KeyProblem] = []
        for entry in tokens.keys {
            switch entry.source {
            case .secret(let secret):
                keys += own(entry, secret: secret.revealed, &problems)
            case .pem(_, let contents):
                keys += own(entry, &problems) { () throws(KeyError) in try KeyMaterial(pem: contents.revealed) }
            case .jwks(_, let contents):
                keys += JWKSReader.keys(in: contents.revealed, of: entry.id, &problems)
            }
        }
        problems += duplicates(among: keys)
        return (KeySet(keys: keys), problems)
    }

    private static func own(
        _ entry: Configuration.Tokens.Key, secret: [UInt8], _ problems: inout [KeyProblem]
    ) -> [Key] {
        if secret.starts(with: Array("-----BEGIN ".utf8)) {
            // The public key would become a secret that everybody knows (RFC 8725 §2.1).
            problems.append(KeyProblem(.unusable, entry.id, "the secret is a PEM key; name it as pem_file"))
            return []
        }
        if secret.last == UInt8(ascii: "\n") {
            let text = "the secret ends with a line feed, which counts as part of it"
            problems.append(KeyProblem(.warning, entry.id, text))
        } else if secret.last == UInt8(ascii: "="), secret.count % 4 == 0 {
            problems.append(KeyProblem(.warning, entry.id, "the secret looks like base64; it is used undecoded"))
        }
        return own(entry, &problems) { () throws(KeyError) in try KeyMaterial(secret: secret) }
    }

    /// A key of the configuration itself, with the algorithms it lists, or all that fit when it lists none.
    private static func own(
        _ entry: Configuration.Tokens.Key, _ problems: inout [KeyProblem],
        _ read: () throws(KeyError) -> KeyMaterial
    ) -> [Key] {
        do throws(KeyError) {
            let material = try read()
            var algorithms = material.algorithms
            if !entry.algorithms.isEmpty {
                algorithms = []
                for name in entry.algorithms {
                    guard let algorithm = SignatureAlgorithm(name: name) else {
                        problems.append(KeyProblem(.unusable, entry.id, "the algorithm \(name) is not supported"))
                        return []
                    }
                    guard material.algorithms.contains(algorithm) else {
                        if material.kind == .secret, algorithm.family == .hmac {
                            throw .secretTooShort(bytes: material.secretBytes, needed: algorithm.digestBytes)
                        }
                        throw .algorithmDoesNotFit(algorithm)
                    }
                    algorithms.formUnion(SignatureAlgorithms(algorithm))
                }
            }
            return [
                Key(
                    label: entry.id, algorithms: algorithms, kid: Array(entry.id.utf8), kidIsOptional: true,
                    isFromJWKS: false, material: material)
            ]
        } catch {
            problems.append(KeyProblem(.unusable, entry.id, error.description))
            return []
        }
    }

    private static func duplicates(among keys: [Key]) -> [KeyProblem] {
        var seen: [[UInt8]: Key] = [:]
        var problems: [KeyProblem] = []
        for key in keys {
            guard let kid = key.kid else { continue }
            if let first = seen[kid], !first.algorithms.isDisjoint(with: key.algorithms) {
                let text = "has the same kid and algorithm as \(first.label); both are tried"
                problems.append(KeyProblem(.warning, key.label, text))
            }
            seen[kid] = key
        }
        return problems
    }
}

/// Something to tell the operator about a key. Never holds bytes of it.
package struct KeyProblem: Hashable, Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        /// The key works.
        case warning
        /// One key of a JWKS was left out; the others work.
        case skipped
        /// A configured source gives no key at all.
        case unusable
    }
    package let severity: Severity
    /// The id of the setting, with the member of a JWKS behind a slash.
    package let key: String
    package let message: String

    init(_ severity: Severity, _ key: String, _ message: String) {
        self.severity = severity
        self.key = key
        self.message = message
    }

    package var description: String { "key \(key): \(message)" }
}

extension KeySet {
    enum Selection: Equatable {
        /// Indices into `keys`, one to `maximumCandidates`.
        case candidates([Int])
        case refused(Reason)
    }

    /// Which keys a token may be verified with.
    ///
    /// The algorithm comes first: a key takes part only with the algorithms it is bound to (RFC 8725 §3.1). A token with
    /// kid gets the keys of that kid; when there are none, the only key of its algorithm, if that is a secret, a PEM or
    /// a JWK without kid, because issuers put kids of their own into tokens signed with a shared secret. A token without
    /// kid gets all secrets and PEMs of its algorithm, and the JWKS' only key of it.
    func select(_ algorithm: SignatureAlgorithm, kid: [UInt8]?) -> Selection {
        var fitting: [Int] = []
        for index in keys.indices where keys[index].algorithms.contains(algorithm) { fitting.append(index) }
        guard !fitting.isEmpty else { return .refused(.algNotAllowed) }
        var chosen: [Int] = []
        if let kid {
            chosen = fitting.filter { keys[$0].kid == kid }
            if chosen.isEmpty, fitting.count == 1, keys[fitting[0]].kidIsOptional { chosen = fitting }
        } else {
            let fromJWKS = fitting.filter { keys[$0].isFromJWKS }
            chosen = fitting.filter { !keys[$0].isFromJWKS }
            if fromJWKS.count == 1 { chosen += fromJWKS }
        }
        guard !chosen.isEmpty else { return .refused(.unknownKid) }
        return .candidates(Array(chosen.prefix(KeySet.maximumCandidates)))
    }
}
