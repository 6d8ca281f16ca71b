package import Crypto
package import Settings

/// The keys that tokens are verified with: immutable, made on the control thread, sent to every worker.
package struct KeySet: Equatable, Sendable {
    package struct Key: Hashable, Sendable {
        /// For logs: the id of the setting, for a key of a JWKS followed by its kid (`idp/2024-05`), or where it has none by
        /// its fingerprint (`idp/#2eeea026cdd6`): its place would be another key's when the set changes.
        package let label: String
        /// The id of the setting.
        package let source: String
        package let algorithms: SignatureAlgorithms
        /// The kid that selects the key; of a secret or PEM its id.
        package let kid: [UInt8]?
        /// A secret or PEM, or a JWK without kid: nobody promised that tokens name it.
        let kidIsOptional: Bool
        let isFromJWKS: Bool
        /// Whom alone it is for (`iss`); nil: the configuration's other rules decide.
        package let issuer: [UInt8]?
        package let material: KeyMaterial

        /// Tells it from a key of the same label that is made of something else; the same for all workers of the process.
        var stamp: Int {
            var hasher = Hasher()
            hasher.combine(label)
            hasher.combine(material)
            return hasher.finalize()
        }
    }

    package let keys: [Key]
    /// A provider's keys are not here, or no longer: what a token that fits none of the others is worth is not known.
    package let isIncomplete: Bool
    /// A key that is not here may be fetched.
    package let hasProviders: Bool
    /// Some key is for one issuer alone.
    let bindsIssuers: Bool

    package static let empty = KeySet(keys: [])

    /// More keys than this are never tried for one token: each try costs a signature check that anybody can ask for.
    static let maximumCandidates = 4
    /// Keys of one JWKS; what follows is reported and left out.
    static let maximumKeysOfJWKS = 256

    init(keys: [Key], isIncomplete: Bool = false, hasProviders: Bool = false) {
        self.keys = keys
        self.isIncomplete = isIncomplete
        bindsIssuers = keys.contains { $0.issuer != nil }
        self.hasProviders = hasProviders
    }

    /// Reads every key that the configuration names. A key that cannot be used is left out and reported; whether that
    /// stops the start is the caller's decision (`KeyProblem.Severity`).
    /// - Parameter current: key sets that are newer than the configuration, by the id of the setting: those of providers,
    ///   and of files that have changed. A provider's that is not there is not to be had.
    package static func build(
        from tokens: Configuration.Tokens, current: [String: [UInt8]] = [:]
    ) -> (keys: KeySet, problems: [KeyProblem]) {
        var keys: [Key] = []
        var problems: [KeyProblem] = []
        var isIncomplete = false
        var hasProviders = false
        for entry in tokens.keys {
            switch entry.source {
            case .secret(let secret):
                keys += own(entry, secret: secret.revealed, &problems)
            case .pem(_, let contents):
                keys += own(entry, &problems) { () throws(KeyError) in try KeyMaterial(pem: contents.revealed) }
            case .jwks(_, let contents):
                let text = current[entry.id] ?? contents.revealed
                keys += JWKSReader.keys(in: text, of: entry.id, issuer: entry.issuer, &problems)
            case .provider:
                hasProviders = true
                if let text = current[entry.id] {
                    keys += JWKSReader.keys(
                        in: text, of: entry.id, issuer: entry.issuer, isFetched: true, &problems)
                } else {
                    isIncomplete = true
                }
            }
        }
        problems += duplicates(among: keys)
        return (KeySet(keys: keys, isIncomplete: isIncomplete, hasProviders: hasProviders), problems)
    }

    /// Of one setting, for logs.
    package func labels(of source: String) -> [String] { keys.filter { $0.source == source }.map(\.label) }

    /// Why a key set is refused as a whole; nil: at least one key of it can be used.
    package static func problem(inJWKS text: [UInt8], of source: String, isFetched: Bool = false) -> String? {
        var problems: [KeyProblem] = []
        guard JWKSReader.keys(in: text, of: source, isFetched: isFetched, &problems).isEmpty else { return nil }
        return problems.first { $0.severity == .unusable }?.message ?? "it has no usable key"
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
                    label: entry.id, source: entry.id, algorithms: algorithms, kid: Array(entry.id.utf8),
                    kidIsOptional: true,
                    isFromJWKS: false, issuer: entry.issuer.map { Array($0.utf8) }, material: material)
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
        /// Indices into `keys`, one or more; which of them are tried is told by `narrowed`.
        case candidates([Int])
        case refused(Reason)
    }

    /// Which keys a token may be verified with.
    ///
    /// The algorithm comes first: a key takes part only with the algorithms it is bound to (RFC 8725 §3.1). A token with
    /// kid gets the keys of that kid; when there are none, all of its algorithm that are a secret, a PEM or a JWK
    /// without kid, because issuers put kids of their own into tokens signed with a shared secret. A token without kid gets
    /// all secrets and PEMs of its algorithm, and of each JWKS its only key of it.
    func select(_ algorithm: SignatureAlgorithm, kid: [UInt8]?) -> Selection {
        var fitting: [Int] = []
        for index in keys.indices where keys[index].algorithms.contains(algorithm) { fitting.append(index) }
        guard !fitting.isEmpty else {
            // A provider may have changed its algorithm along with its key.
            let isNew = hasProviders && kid != nil && !keys.contains { $0.kid == kid }
            return .refused(isIncomplete ? .jwksUnavailable : isNew ? .unknownKid : .algNotAllowed)
        }
        var chosen: [Int] = []
        if let kid {
            chosen = fitting.filter { keys[$0].kid == kid }
            // All of them: one more, added for a rotation, must not shut out the tokens of the one before.
            if chosen.isEmpty { chosen = fitting.filter { keys[$0].kidIsOptional } }
        } else {
            chosen = fitting.filter { index in
                // What one source publishes must not make another's tokens ambiguous.
                !keys[index].isFromJWKS || fitting.count { keys[$0].source == keys[index].source } == 1
            }
        }
        guard !chosen.isEmpty else { return .refused(isIncomplete ? .jwksUnavailable : .unknownKid) }
        return .candidates(chosen)
    }

    /// Whether the token names one of the candidates by its kid.
    func isNamed(_ candidates: [Int], by kid: [UInt8]?) -> Bool {
        candidates.contains { keys[$0].kid == kid }
    }

    /// Those of the candidates that are tried. Keys of other issuers than the token's own would not make it good, and must not
    /// keep its own from being tried: whoever publishes a key under another's kid shuts nobody out.
    /// - Parameter issuer: `iss` of the token; nil: it names none, or cannot be read.
    func narrowed(_ candidates: [Int], to issuer: [UInt8]?) -> [Int] {
        let own =
            (issuer == nil ? [] : candidates.filter { keys[$0].issuer == issuer })
            + candidates.filter { keys[$0].issuer == nil }
        return Array((own.isEmpty ? candidates : own).prefix(KeySet.maximumCandidates))
    }
}
