internal import Crypto
internal import Glibc
internal import Policy
package import Settings
internal import Wire

/// Finds the keys that a configuration signs with.
package enum AssertionKeyLoader {
    private static let setting = "assertion.key_file"

    /// The keys of the operator's file: the first signs, the others are published.
    static func read(
        _ path: String, _ assertion: Configuration.Assertion, files: FileAccess = .system
    ) throws(CertificateLoader.Finding) -> (first: SigningKey, others: [PublicJWK]) {
        var bytes = try CertificateLoader.read(path, setting, files, isSecret: !assertion.acceptsReadableKeys)
        defer { Bytes.wipe(&bytes) }
        func finding(_ error: KeyError) -> CertificateLoader.Finding {
            .init(setting: setting, path: path, message: error.description)
        }
        let keys: [PEMKey]
        do throws(KeyError) {
            keys = try PEMKey.read(bytes)
        } catch {
            throw finding(error)
        }
        guard case .signing(let first)? = keys.first else { throw finding(.notPrivate) }
        if let wanted = assertion.algorithm, wanted.signature != first.algorithm {
            throw finding(.algorithmDoesNotFit(wanted.signature))
        }
        return (first, keys.dropFirst().map(\.publicKey))
    }

    /// The keyring of a configuration that follows on `last`. A key that is made here is not on the disk yet
    /// (`AssertionKeyStore.keep`).
    /// - Parameter directory: the state directory.
    static func keyring(
        for assertion: Configuration.Assertion, after last: AssertionKeyring?, in directory: String, at now: WallTime
    ) throws(CertificateLoader.Finding) -> AssertionKeyring {
        let age = assertion.jwksMaximumAge
        if let path = assertion.keyPath {
            let (first, others) = try read(path, assertion)
            var keyring = last ?? AssertionKeyring(first, .file, at: now)
            keyring.follow(first, others, maximumAge: age, at: now)
            return keyring
        }
        var keyring: AssertionKeyring
        let wanted = assertion.algorithm ?? .es256
        let path = AssertionKeyFile.path(in: directory)
        var entries = last?.entries ?? []
        if entries.last?.origin != .made {
            let kept = try AssertionKeyFile.read(path, acceptsReadable: assertion.acceptsReadableKeys)
            if let newest = kept.last, newest.key.algorithm == wanted.signature, var last {
                last.dropGuests()
                last.add(newest.key, .made, maximumAge: age, at: now)
                return last
            }
            if last == nil { entries = kept }
        }
        if let found = AssertionKeyring(entries) {
            keyring = found
            keyring.dropGuests()
            _ = keyring.forget(at: now)
            guard keyring.entries.last?.origin != .made || keyring.entries.last?.key.algorithm != wanted.signature
            else { return keyring }
            keyring.add(try make(wanted, path), .made, maximumAge: age, at: now)
        } else {
            keyring = AssertionKeyring(try make(wanted, path), .made, at: now)
        }
        return keyring
    }

    static func make(
        _ algorithm: Configuration.Assertion.Algorithm, _ path: String
    ) throws(CertificateLoader.Finding) -> SigningKey {
        do throws(KeyError) {
            return try SigningKey.make(algorithm.signature)
        } catch {
            throw .init(setting: "state_dir", path: path, message: "no key can be made: \(error)")
        }
    }

    /// What `gateway check` says about the keys. Nothing is made.
    package static func diagnostics(_ result: LoadResult) -> [Diagnostic] {
        guard let configuration = result.configuration, let assertion = configuration.assertion else { return [] }
        do throws(CertificateLoader.Finding) {
            if let path = assertion.keyPath {
                _ = try read(path, assertion)
            } else {
                _ = try AssertionKeyFile.read(
                    AssertionKeyFile.path(in: configuration.stateDirectory),
                    acceptsReadable: assertion.acceptsReadableKeys)
            }
            return []
        } catch {
            return [result.diagnostic(at: error.setting, error.text)].compactMap(\.self)
        }
    }
}

extension Configuration.Assertion.Algorithm {
    var signature: SignatureAlgorithm {
        switch self {
        case .es256: .es256
        case .edDSA: .edDSA
        }
    }
}
