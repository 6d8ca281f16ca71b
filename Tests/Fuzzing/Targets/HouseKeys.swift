/// Public keys of the house whose private halves nobody keeps, and what was signed with them before they were thrown away.
extension House {
    static let rsa = """
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

    static let jwks = #"""
        {"keys": [
        {"kty":"EC","crv":"P-256","x":"4OwWr5tQNbnngfuGhPigmR_moqEJmIAThMUWDraNdaE","y":"5reMsZS\#
        lSlKhuOb4byxjgDgftx8HnrCNhWOAGEZ197c","kid":"e1","alg":"ES256","use":"sig"},
        {"kty":"OKP","crv":"Ed25519","kid":"o1","x":"dyHVkoMhPW3eP_sa_JlJgbSJD0EfuWjrrYo5jTYAUTI\#
        "}
        ]}
        """#

    /// Header and payload of every token that was signed with these keys: no other may be accepted.
    static let signed = [
        """
        eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbi\
        IsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ
        """,
        """
        eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbiIsImlhdCI6MTcwM\
        DAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ
        """,
        """
        eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbi\
        IsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ
        """,
        """
        eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbi\
        IsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ
        """,
        """
        eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6Im8xIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbi\
        IsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ
        """,
    ]
}
