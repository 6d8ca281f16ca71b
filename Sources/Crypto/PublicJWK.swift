internal import COpenSSL

/// The public half of a key that signs here, as a JSON Web Key (RFC 7517 §4).
package struct PublicJWK: Hashable, Sendable {
    /// `ES256` or `EdDSA`.
    package let algorithm: SignatureAlgorithm
    /// The `kid`: the thumbprint of RFC 7638, so that one key has one name, whoever publishes it.
    package let id: String
    /// For a JWKS: one object, its members in the order of their names.
    package let text: String

    /// On P-256; both coordinates have 32 bytes.
    init(x: [UInt8], y: [UInt8]) {
        let (x, y) = (Base64URL.encode(x.span), Base64URL.encode(y.span))
        let id = PublicJWK.thumbprint(#"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#)
        self.init(
            .es256, id,
            #"{"alg":"ES256","crv":"P-256","kid":"\#(id)","kty":"EC","use":"sig","x":"\#(x)","y":"\#(y)"}"#)
    }

    /// On Ed25519 (RFC 8037 §2).
    init(x: [UInt8]) {
        let x = Base64URL.encode(x.span)
        let id = PublicJWK.thumbprint(#"{"crv":"Ed25519","kty":"OKP","x":"\#(x)"}"#)
        self.init(
            .edDSA, id, #"{"alg":"EdDSA","crv":"Ed25519","kid":"\#(id)","kty":"OKP","use":"sig","x":"\#(x)"}"#)
    }

    private init(_ algorithm: SignatureAlgorithm, _ id: String, _ text: String) {
        self.algorithm = algorithm
        self.id = id
        self.text = text
    }

    /// RFC 7638 §3: of the required members, in the order of their names, without white space.
    private static func thumbprint(_ members: String) -> String {
        Base64URL.encode(Bytes.sha256(Array(members.utf8).span).span)
    }
}

extension PublicKey {
    /// Of a key that has been checked (`material`).
    func jwk() throws(KeyError) -> PublicJWK {
        defer { ERR_clear_error() }
        switch kind {
        case .elliptic(.p256):
            guard let x = coordinate(OSSL_PKEY_PARAM_EC_PUB_X, bytes: 32),
                let y = coordinate(OSSL_PKEY_PARAM_EC_PUB_Y, bytes: 32)
            else { throw .unreadable }
            return PublicJWK(x: x, y: y)
        case .edwards(.ed25519):
            guard let raw else { throw .unreadable }
            return PublicJWK(x: raw)
        default: throw .signsNothing
        }
    }
}
