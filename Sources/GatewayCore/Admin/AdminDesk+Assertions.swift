internal import Crypto
internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    /// The same as on the public listeners, wherever they have it.
    func assertionKeys() -> AdminResponse {
        guard let keyring = gateway.assertions.keyring, let assertion = gateway.configuration.assertion else {
            return AdminProblem.nothingIsSigned.response
        }
        return AdminResponse(
            status: 200, contentType: "\(AssertionKeyring.contentType)",
            cacheControl: "public, max-age=\(assertion.jwksMaximumAge.seconds)", body: keyring.document)
    }

    func rotate(
        _ isCompromised: Bool, _ actor: AdminActor, at now: WallTime, _ completion: @escaping (AdminResponse) -> Void
    ) {
        guard gateway.isServing else { return completion(AdminProblem.notServing.response) }
        switch gateway.assertions.rotate(isCompromised: isCompromised, at: now) {
        case .off: completion(AdminProblem.nothingIsSigned.response)
        case .keyIsInFile(let path): completion(AdminProblem.assertionKeyIsInFile(path).response)
        case .underWay(let entry):
            completion(AdminProblem.rotationIsUnderWay(entry.key.id, until: entry.signsAt).response)
        case .failed(let reason):
            record("key_rotation_failed", "There is no new assertion key", actor)
            completion(AdminProblem.rotationFailed(reason).response)
        case .rotated(let entry, let previous):
            let note = isCompromised ? "; the keys before are compromised and withdrawn" : ""
            record("key_rotation", entry.announcement(after: previous.key.id) + note, actor, of: entry.key.id)
            completion(
                .json([
                    "rotated": true, "kid": .string(entry.key.id), "algorithm": .string(entry.key.algorithm.name),
                    "signs_at": .string(entry.signsAt.text),
                    "previous": [
                        "kid": .string(previous.key.id),
                        "published_until": isCompromised
                            ? .null : .string((entry.signsAt + AssertionKeyring.afterlife).text),
                    ],
                ]))
        }
    }
}
