internal import Crypto

/// What two sets of keys differ in, by what the keys are made of: the name of one may be given to another.
extension KeySet {
    /// Fingerprints of the keys that no key of the other set is made of.
    package func fingerprints(missingIn other: KeySet) -> [String] {
        let kept = Set(other.keys.map(\.material))
        return Set(keys.map(\.material)).subtracting(kept).map(\.fingerprint).sorted()
    }

    /// All but those with these fingerprints.
    package func without(_ fingerprints: Set<String>) -> KeySet {
        // It takes a digest of each key.
        guard !fingerprints.isEmpty else { return self }
        return KeySet(
            keys: keys.filter { !fingerprints.contains($0.material.fingerprint) }, isIncomplete: isIncomplete,
            hasProviders: hasProviders)
    }
}
