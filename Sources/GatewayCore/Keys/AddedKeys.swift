internal import Crypto
internal import Glibc
internal import Ledger
internal import Policy
internal import Settings
internal import Wire

/// A key that an operator adds to the running gateways.
struct AddedKey: Sendable {
    enum Source: Sendable {
        case secret(Secret)
        case pem(Secret)
    }

    /// Sound (`SharedKeyName`).
    var id: String
    var source: Source
    /// Empty: all that fit the key.
    var algorithms: [String]
    var issuer: String?

    /// As the configuration would have it.
    var entry: Configuration.Tokens.Key {
        let place: Configuration.Tokens.Source
        switch source {
        case .secret(let secret): place = .secret(secret)
        case .pem(let text): place = .pem(path: id, contents: text)
        }
        return Configuration.Tokens.Key(id: id, source: place, algorithms: algorithms, issuer: issuer)
    }
}

extension AddedKey: Hashable {
    static func == (a: AddedKey, b: AddedKey) -> Bool { a.document == b.document && a.id == b.id }

    func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension AddedKey {
    /// What is sealed.
    private var document: JSONValue {
        var members: [JSONValue.Member] = []
        switch source {
        case .secret(let secret): members.append(.init("secret", .string(Base64URL.encode(secret.revealed.span))))
        case .pem(let text): members.append(.init("pem", .string(String(decoding: text.revealed, as: UTF8.self))))
        }
        members.append(.init("algorithms", .array(algorithms.map { .string($0) })))
        if let issuer { members.append(.init("issuer", .string(issuer))) }
        return .object(members)
    }

    func sealed(with key: SealingKey) -> String { Base64URL.encode(key.seal(document.bytes, as: id).span) }

    /// Nil: it was sealed with another secret or under another name, or by another version.
    init?(_ id: String, sealed: String, with key: SealingKey) {
        guard let bytes = AddedKey.decoded(sealed), let plain = key.open(bytes, as: id),
            let document = try? JSONValue.read(plain)
        else { return nil }
        self.id = id
        switch (document["secret"]?.string, document["pem"]?.string) {
        case (let text?, nil):
            guard let secret = AddedKey.decoded(text) else { return nil }
            source = .secret(Secret(secret))
        case (nil, let text?): source = .pem(Secret(Array(text.utf8)))
        default: return nil
        }
        algorithms = (document["algorithms"]?.array ?? []).compactMap(\.string)
        issuer = document["issuer"]?.string
    }

    private static func decoded(_ text: String) -> [UInt8]? {
        guard let size = Base64URL.decodedCount(of: text.utf8.count) else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        var span = bytes.mutableSpan
        guard Base64URL.decode(Array(text.utf8).span, into: &span) == size else { return nil }
        return bytes
    }
}

/// What added keys are sealed with.
enum RingSeal {
    private static let purpose = "gateway key ring"

    /// `tokens.ring_secret`; where no other process shares the keys, a secret of this gateway's own, kept in
    /// `state_dir/ring.key` (mode 600) and made when it is first asked for.
    /// - Returns: nil when Redis is shared and no secret is configured, or the file cannot be used.
    static func key(for configuration: Configuration) -> SealingKey? {
        if let secret = configuration.tokens.ringSecret {
            return try? SealingKey(secret: secret.revealed, purpose: purpose)
        }
        guard configuration.redis == nil, let secret = ownSecret("\(configuration.stateDirectory)/ring.key") else {
            return nil
        }
        return try? SealingKey(secret: secret, purpose: purpose)
    }

    private static func ownSecret(_ path: String) -> [UInt8]? {
        let made = Bytes.random(32)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            // It is there: whatever else is the matter shows when it is read.
            guard case .success(let file) = FileAccess.system.read(path), file.bytes.count == made.count,
                file.mode & 0o077 == 0
            else { return nil }
            return file.bytes
        }
        defer { close(descriptor) }
        guard write(descriptor, made, made.count) == made.count, fsync(descriptor) == 0 else {
            unlink(path)
            return nil
        }
        return made
    }
}
