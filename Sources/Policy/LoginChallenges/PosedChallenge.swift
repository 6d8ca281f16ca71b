internal import Settings
package import Wire

/// A challenge as an answer tells it: a member of the problem document, or a page in its place.
package struct PosedChallenge: Sendable {
    /// `,"challenge":{…}`
    let member: [UInt8]
    let page: Page?

    struct Page: Sendable {
        let html: [UInt8]
        let contentPolicy: String
    }
}

extension ChallengeRule {
    /// Nil only when OpenSSL fails: the answer then says no more than that a challenge must be solved.
    /// - Parameters:
    ///   - page: in place of the problem document.
    ///   - requestID: of the refused request.
    package func pose(
        _ kind: PosedKind, to address: IPAddress, at now: WallTime, page isPage: Bool, requestID: String
    ) -> PosedChallenge? {
        let life = Int(life.seconds)
        switch (kind, siteverify) {
        case (.captcha, let siteverify?):
            let provider = siteverify.provider.rawValue
            let member =
                #","challenge":{"kind":"siteverify","provider":"\#(provider)","site_key":"\#(siteverify.siteKey)"}"#
            return posed(member, isPage ? captchaPage : nil, #"data-life="\#(life)""#, requestID)
        case (.work, _), (.captcha, nil):
            guard let nonce = nonce(for: address, at: now) else { return nil }
            let member =
                #","challenge":{"kind":"proof_of_work","algorithm":"sha-256","nonce":"\#(nonce.text)","#
                + #""difficulty":\#(nonce.difficulty),"expires":"\#(nonce.expiresAt.text)"}"#
            let attributes =
                #"data-nonce="\#(nonce.text)" data-difficulty="\#(nonce.difficulty)" data-life="\#(life)""#
            return posed(member, isPage ? workPage : nil, attributes, requestID)
        }
    }

    private func posed(
        _ member: String, _ page: ChallengePage?, _ attributes: String, _ requestID: String
    ) -> PosedChallenge {
        PosedChallenge(
            member: Array(member.utf8),
            page: page.map {
                .init(
                    html: Array($0.html(attributes, requestID: requestID).utf8), contentPolicy: $0.contentPolicy)
            })
    }
}
