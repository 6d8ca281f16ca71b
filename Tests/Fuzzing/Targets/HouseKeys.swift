internal import TestSupport

/// Public keys of the house whose private halves nobody keeps, and what was signed with them before they were thrown away.
extension House {
    static let rsa = TestKeys.rsa + "\n"

    static let jwks = #"{"keys": ["# + TestKeys.p256JWK + "," + TestKeys.ed25519JWK + "]}"

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
