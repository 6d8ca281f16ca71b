/// Public keys for the tests, made with another library (pyca/cryptography). Nobody keeps their private halves; what was
/// signed with them stands with the tests that need it.
package enum TestKeys {
    /// PEM, without a line break at its end.
    package static let rsa = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4ad1wRWC6HLDKG99YxR/
        Yc2PeF8/TLSztviKZnyo/OP7n6yZ1ye6V4D9B6RY6MzVtiLA/WEBycePHNeLNjOJ
        Lrx3/ibfY/Cl8tk4SVTOZ8Q16UEABtC+uCmm+BvsNyxBP1apH1H8hoaa/VDOv1Gm
        YOHcDYm2Lxr6v0BYO34IF424WH/ejhvjyFnAGnpPjaB368SxGukrkuqnDh4BhHAU
        /Leum1migKDW/Y3iGdBA+z6YhUJiLfQLoqUHjSNlFc80o0o6xl7hFHtAOyia3zLj
        t5funMF2eJDD9v3AKHJz74MEDsSEMdYg4hZBIXmo7y3+T6Gk+m4szhPL+317bqAv
        aQIDAQAB
        -----END PUBLIC KEY-----
        """

    package static let p256JWK = #"""
        {"kty":"EC","crv":"P-256","x":"4OwWr5tQNbnngfuGhPigmR_moqEJmIAThMUWDraNdaE","y":"5reMsZS\#
        lSlKhuOb4byxjgDgftx8HnrCNhWOAGEZ197c","kid":"e1","alg":"ES256","use":"sig"}
        """#

    package static let ed25519JWK = #"""
        {"kty":"OKP","crv":"Ed25519","kid":"o1","x":"dyHVkoMhPW3eP_sa_JlJgbSJD0EfuWjrrYo5jTYAUTI\#
        "}
        """#
}
