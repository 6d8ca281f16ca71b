/// Keys and tokens made with another library (pyca/cryptography). All tokens: `sub` alice, `role` admin, `iat`
/// 1700000000, `exp` 1700003600.
enum TokenVectors {
    static let rs256 = """
        eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1p\
        biIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.BUEDG_DmnE0E7K5712l0CqjZY-tMRWN9RVI6q\
        h3f7hYojLVMhaNR1KfLXqMnjJpFapvJ2nRhtopm6FpndlWLrFQPKxqRVUo2zPkjy03SBXv6bU316vCjsw5FspqAJ\
        3EvW3GFIayq3Ni5A8uLa94icGGekI70YP2n_smYFWvcKuSCEjn9zArnZTyOjfVX6_l5qv5ktdNo_2dqO6ONe0NoE\
        OZWF7Ab8fmCHblwFIy1xHfXS4Ff-8CnkndqMpKkFI8Rv5f6DCUeVKaUVO5BzC2zEmAufol0CCWUP2rO5MIyL7mtC\
        uUs_z9O4a7qsZbDZ62oJg7nkzZb_QrAfcrRtbzPVw
        """
    static let rs256WithoutKid = """
        eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbiIsImlhdCI6MTc\
        wMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.Q--cDp1qWK34eaZuL2So3EsxAZaxp8pmHP07nyXrvlF7C0K__vnw\
        0NRjMINDELhsr6Rkee3--cgGWy9FcQxrbyIF-425h929S8aTG9gyDvY4V3_tc_QbGyvwEk6Ka7JZD9ovyrZoQuAe\
        5_mMzMTiFFFsW1TKGTcxDPz072qHLFIdVd31lqH613Hzfjh3hE88FRJn_j7awoSRtIEai8CcF2b3mS2gmPGVnMqe\
        2t3PsLd6x4elXws5Mm6Uw4nymwaTKETmAWg2gUg3j74O5YlFQkHM33hGZ0qcv6DoSDP9cVgF3dCYBvfODN4WKdqT\
        mnBOOqpJXEJrhqnlzCTPrBlJSA
        """
    static let ps256 = """
        eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1p\
        biIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.GVfEqyCrHrywa6N7oTlf75RdhQRX14S0QwSPt\
        lAJKQxREXg75HLIaYP3ci9K9kvp7iDLBoHG8HeCno6c60bB_4bnyD_pDcNU7tra4VoLHybbvb4yN8S4NkbUewLmI\
        IG8_k1mkH9YepJ6s6aYQOyaULERLgPWPvkdfGOzAam87a_XApANa-1hGMZQoEMViSvX2GQXwlb_uernSeantEC2M\
        wcl4nlmda_O3TAKQFOAuqiadF9v-WavDsPQAzT1cW8tpeFsFyu28GmvOqFNRXTDJag2lHYchxcYtdbZl_a5_3njQ\
        k9V55yox3CZxHfITqJQKFu4u-jwlECu1zMQYfc0jA
        """
    static let es256 = """
        eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUxIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1p\
        biIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.CAK3PX9Y-Pq-nmjZWRopE60-ghvnmv6u8R1vz\
        XIjTe7txGiocWcISX6BcbQ29iq-tcf4UMGthTZ8eAlnDah0YA
        """
    static let es384 = """
        eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImUyIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1p\
        biIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.yOiz5JY1kyC3HdTZv_64XzWiU2ZIdOwdsXvu6\
        71Wk54g34__n6X6veTfG4r-rDAdazxjzn9pHrzaDn0dFxk595W-5oSi5L0RnZgZzz1vaw1ijPSk8dYBsUhtHvZoa\
        Ydc
        """
    static let edDSA = """
        eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6Im8xIn0.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1p\
        biIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.0eDKAjR4GIqjeq8EnqdvTikH_sEXruUlmZZu_\
        HYg8AYO8UM8Y7jDJbcfSoZRoW_m984yGGvv31kmiAU3ifDuCA
        """
    /// RS/HS confusion: an HMAC whose key is the text of `TestKeys.rsa`.
    static let hs256UnderPublicKey = """
        eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsInJvbGUiOiJhZG1pbiIsImlhdCI6MTc\
        wMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.0OBY9cHE0Kt2gTC0wDuswmyw3lhkMZoFRJv3_YrHsd4
        """
    static let rsaJWK = #"""
        {"kty":"RSA","kid":"r1","n":"4ad1wRWC6HLDKG99YxR_Yc2PeF8_TLSztviKZnyo_OP7n6yZ1ye6V4D9B6R\#
        Y6MzVtiLA_WEBycePHNeLNjOJLrx3_ibfY_Cl8tk4SVTOZ8Q16UEABtC-uCmm-BvsNyxBP1apH1H8hoaa_VDOv1G\#
        mYOHcDYm2Lxr6v0BYO34IF424WH_ejhvjyFnAGnpPjaB368SxGukrkuqnDh4BhHAU_Leum1migKDW_Y3iGdBA-z6\#
        YhUJiLfQLoqUHjSNlFc80o0o6xl7hFHtAOyia3zLjt5funMF2eJDD9v3AKHJz74MEDsSEMdYg4hZBIXmo7y3-T6G\#
        k-m4szhPL-317bqAvaQ","e":"AQAB"}
        """#
    static let p384JWK = #"""
        {"kty":"EC","crv":"P-384","x":"tqSRSmFQdPT2nVLQGkYLDabKoAQZOgqfOJ2DMRwsd-0oNFhBgJgW12al-\#
        R2A2Bzy","y":"r2IG1AwQW_Un9tzPgpmNcspnk9Ox6ccUKXn2O9fhBO5Vkd0cymW02mmdrPGQ9Rx_","kid":"e\#
        2","key_ops":["verify"]}
        """#
}
