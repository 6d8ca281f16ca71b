internal import Crypto
package import Settings
package import Wire

/// What is asked of logins from where some have failed, and how it is known that it was done. Nothing is remembered of a
/// challenge that was posed: it says itself, under a seal, for whom it is, until when, and how much work it asks for.
package struct ChallengeRule: Sendable {
    /// Failures of the address from which on its logins are challenged.
    package let after: Int
    package let difficulty: Int
    package let life: Interval
    let hasPage: Bool
    let workPage = ChallengePage(nil)
    let captchaPage: ChallengePage?
    /// Nil: work is what must be done.
    package let siteverify: Configuration.Login.Siteverify?
    private let key: KeyMaterial
    /// Knows for whom failures are counted together.
    private let plain: LoginRule

    /// What the keys of one secret for two purposes must not have in common.
    private static let purpose = "gateway login challenges"
    /// Of a process without a secret: the same over reloads, another one in the next process.
    private static let ofProcess = Secret(Bytes.random(32))

    /// Nil: nothing is asked.
    package init?(_ configuration: Configuration) {
        guard let challenge = configuration.login.challenge,
            let key = ChallengeRule.key(of: challenge.secret ?? ChallengeRule.ofProcess)
        else { return nil }
        after = challenge.after
        difficulty = challenge.difficulty
        life = challenge.life
        hasPage = challenge.hasPage
        siteverify = challenge.siteverify
        captchaPage = challenge.siteverify.map { ChallengePage($0) }
        self.key = key
        plain = LoginRule(configuration)
    }

    private static func key(of secret: Secret) -> KeyMaterial? {
        guard let material = try? KeyMaterial(secret: secret.revealed),
            let derived = material.code(of: Array(purpose.utf8).span, .hs256)
        else { return nil }
        return try? KeyMaterial(secret: derived)
    }

    // MARK: Posing

    /// A challenge for the logins of the address, and of those that are counted with it.
    /// - Parameter salt: of at least 8 bytes, the first of which tell it from others.
    package func nonce(for address: IPAddress, at now: WallTime, salt: [UInt8] = Bytes.random(8)) -> WorkNonce? {
        var nonce = WorkNonce(expires: now.seconds + life.seconds, difficulty: difficulty, salt: salt)
        guard let seal = seal(nonce, for: address) else { return nil }
        nonce.seal = seal
        return nonce
    }

    /// Nil only when OpenSSL fails.
    private func seal(_ nonce: WorkNonce, for address: IPAddress) -> [UInt8]? {
        let subject = plain.subject(of: address)
        var message = nonce.claims
        for word in [subject.base.high, subject.base.low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                message.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        message.append(UInt8(subject.bits))
        return key.code(of: message.span, .hs256).map { Array($0.prefix(WorkNonce.sealBytes)) }
    }

    // MARK: Judging

    /// What a login brings, as far as it can be known without asking anybody.
    package func judge(_ text: Span<UInt8>, from address: IPAddress, at now: WallTime) -> PresentedSolution {
        if let nonce = WorkNonce(ofSolution: text) {
            guard siteverify == nil || siteverify?.whenAway == .proofOfWork else { return .wrong }
            return judge(nonce, text, from: address, at: now)
        }
        guard siteverify != nil, isToken(text) else { return .wrong }
        return .token(text.withUnsafeBufferPointer { Array($0) }, token(text, of: address))
    }

    /// The cheap questions come first: of a forged one nothing is hashed but its seal.
    private func judge(
        _ nonce: WorkNonce, _ text: Span<UInt8>, from address: IPAddress, at now: WallTime
    ) -> PresentedSolution {
        // An easier one is of before a reload, which makes it harder at once.
        guard nonce.expires > now.seconds, nonce.difficulty >= difficulty, let seal = seal(nonce, for: address),
            Bytes.constantTimeEqual(seal.span, nonce.seal.span),
            WorkNonce.leadingZeros(of: Bytes.sha256(text)) >= nonce.difficulty
        else { return .wrong }
        func word(_ start: Int) -> UInt64 { seal[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return .work(SolutionID(high: word(0), low: word(8)), until: WallTime(seconds: nonce.expires))
    }

    /// Whether it could be a provider's token: theirs are of these characters, and this goes into a form.
    private func isToken(_ text: Span<UInt8>) -> Bool {
        guard (1...PresentedSolution.longestToken).contains(text.count) else { return false }
        for index in text.indices where text[index] <= 0x20 || text[index] >= 0x7f { return false }
        return true
    }

    /// A token is good for whoever has shown it first.
    private func token(_ text: Span<UInt8>, of address: IPAddress) -> SolutionID {
        var message = Array(plain.subject(of: address).description.utf8)
        message.append(0)
        text.withUnsafeBufferPointer { message.append(contentsOf: $0) }
        let digest = Bytes.sha256(message.span)
        func word(_ start: Int) -> UInt64 { digest[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return SolutionID(high: word(0), low: word(8))
    }
}

/// Tells solutions apart.
package struct SolutionID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// What a login brings.
package enum PresentedSolution: Hashable, Sendable {
    case nothing
    /// Forged, of another address, too late, or not solved.
    case wrong
    /// The work was done.
    case work(SolutionID, until: WallTime)
    /// The token of a CAPTCHA, which its provider is to be asked about.
    case token([UInt8], SolutionID)

    /// Of a provider's token: they have some thousand bytes at most.
    static let longestToken = 8_192
}

/// Which challenge a login is answered with.
package enum PosedKind: Hashable, Sendable { case work, captcha }
