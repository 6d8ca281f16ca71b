/// Keys and signatures made with another library (pyca/cryptography), for the tests of this target only.
enum Vectors {
    static let secret = "a secret of sixty-four bytes, as long as the longest hash: ok!!!"
    static let message = "eyJhbGciOiJub3QgcmVhZCBoZXJlIn0.eyJzdWIiOiJhbGljZSJ9"

    static let otherRSA = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApCt7JXVo5k5GRIvqesaM
        Y8UIeG61MYfhZItO2dhVMxit5XSxYhvj3MSkMnQweoCkLSU/4on0TGoFi5cYILB8
        9IS36My0fBQD3ifMMSXiN7GgW/dF4k8x77wXTEE8C/oXlTe/nHzwV3kUOeDhhjyu
        iDi7uZetfGh4moYdq2dyj6jLYr9CgbttUQ5V90sRE/5Am7db1pHFvBCJbZLrLS28
        tb7ag4gxbBH/vZArAUcESVfZJ6aUuTZN70iGl1HLtSr/wpqvSAxMdYvjlrLdZp3n
        Pw23W5Q3BGU+vI8XT8PMEtfHnoI8TvyP4pfSfbwJI7WARhJv026qSzAOkcrG4Elj
        qQIDAQAB
        -----END PUBLIC KEY-----
        """
    static let smallRSA = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQD0slPbV2F+ugO7jOFwvqGyaJMZ
        UOrxn1p20letZ+ZWm4bTjxq+0sI+58WOxjIMUHghcqQWRvl27L4dyPsY1VFG8ngD
        bIUXX2MJCSoUqJsyk4yT6HJ3NLsasVKUL11t4wlGR7MUR1uExOQ1wyQDRgI0v28u
        1OFTObzZ7g2RjuYvjQIDAQAB
        -----END PUBLIC KEY-----
        """
    static let rsaPKCS1 = """
        -----BEGIN RSA PUBLIC KEY-----
        MIIBCgKCAQEA4ad1wRWC6HLDKG99YxR/Yc2PeF8/TLSztviKZnyo/OP7n6yZ1ye6
        V4D9B6RY6MzVtiLA/WEBycePHNeLNjOJLrx3/ibfY/Cl8tk4SVTOZ8Q16UEABtC+
        uCmm+BvsNyxBP1apH1H8hoaa/VDOv1GmYOHcDYm2Lxr6v0BYO34IF424WH/ejhvj
        yFnAGnpPjaB368SxGukrkuqnDh4BhHAU/Leum1migKDW/Y3iGdBA+z6YhUJiLfQL
        oqUHjSNlFc80o0o6xl7hFHtAOyia3zLjt5funMF2eJDD9v3AKHJz74MEDsSEMdYg
        4hZBIXmo7y3+T6Gk+m4szhPL+317bqAvaQIDAQAB
        -----END RSA PUBLIC KEY-----
        """
    static let p256 = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4OwWr5tQNbnngfuGhPigmR/moqEJ
        mIAThMUWDraNdaHmt4yxlKVKUqG45vhvLGOAOB+3HweesI2FY4AYRnX3tw==
        -----END PUBLIC KEY-----
        """
    static let p384 = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEtqSRSmFQdPT2nVLQGkYLDabKoAQZOgqf
        OJ2DMRwsd+0oNFhBgJgW12al+R2A2Bzyr2IG1AwQW/Un9tzPgpmNcspnk9Ox6ccU
        KXn2O9fhBO5Vkd0cymW02mmdrPGQ9Rx/
        -----END PUBLIC KEY-----
        """
    static let p521 = """
        -----BEGIN PUBLIC KEY-----
        MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQB+v4e5951LJ570pU6o9BUPRPC7QjU
        ezyg4m66O1BQOH7uFvvJnGyZPV4i7CW5D12yrNVWHrqQB2qKvWivH93U8y8AtE5Q
        8yB+H7t06Y7vmNwFNYRpU4TGKHUZaLPHK5js93I7a8PwyfOLzH+INB2D62mQ/XLC
        +WDDjCtWci2uJ/g8tpE=
        -----END PUBLIC KEY-----
        """
    static let secp256k1 = """
        -----BEGIN PUBLIC KEY-----
        MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEPswesTwJQY6yjti189zf2s87CbHFTk9s
        6rsv3NslcOHNfnLv7smOLyqZzUn0ht/LhG4e3eFYks1J2s9c06wSOw==
        -----END PUBLIC KEY-----
        """
    static let ed25519Key = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAdyHVkoMhPW3eP/sa/JlJgbSJD0EfuWjrrYo5jTYAUTI=
        -----END PUBLIC KEY-----
        """
    static let ed448Key = """
        -----BEGIN PUBLIC KEY-----
        MEMwBQYDK2VxAzoAw7M5f/6spsVlwWq5Svz+qT94ETZbTAVhz73wmQhFUDosvk4J
        KH4FP5OACm2+SPh0Z/u5mqNQo4CA
        -----END PUBLIC KEY-----
        """
    static let certificateOfP256 = """
        -----BEGIN CERTIFICATE-----
        MIIBCjCBsaADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwHhcN
        MjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDAR0ZXN0MFkw
        EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4OwWr5tQNbnngfuGhPigmR/moqEJmIAT
        hMUWDraNdaHmt4yxlKVKUqG45vhvLGOAOB+3HweesI2FY4AYRnX3tzAKBggqhkjO
        PQQDAgNIADBFAiAJOz8+jS75v4mquTbg8bZ6Hs9A89fBNjnieMZ8L7ca4wIhAJU0
        gjTR55PPxgI53qwe4WA/jXUuCJvdzdq3v2qgU2Ek
        -----END CERTIFICATE-----
        """
    static let privateP256 = """
        -----BEGIN EC PARAMETERS-----
        BggqhkjOPQMBBw==
        -----END EC PARAMETERS-----
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIF5P4pmQDWH02rANN0nneYpNgbBdsmNcGKhe1xR/cCIroAoGCCqGSM49
        AwEHoUQDQgAE4OwWr5tQNbnngfuGhPigmR/moqEJmIAThMUWDraNdaHmt4yxlKVK
        UqG45vhvLGOAOB+3HweesI2FY4AYRnX3tw==
        -----END EC PRIVATE KEY-----
        """
    static let privateP256PKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXk/imZANYfTasA03
        Sed5ik2BsF2yY1wYqF7XFH9wIiuhRANCAATg7Bavm1A1ueeB+4aE+KCZH+aioQmY
        gBOExRYOto11oea3jLGUpUpSobjm+G8sY4A4H7cfB56wjYVjgBhGdfe3
        -----END PRIVATE KEY-----
        """
    static let encryptedP256 = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBBZpWzFpnJ5cEL8QcCC
        aB73AgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQhdlBocK1F7As7TKs
        DYj3bQSBkMDh4HzjBN4o5fpWo+Ue88G6GvTigSzQsP59B/gUPjLWC334GVil1up+
        OCyRQFaqdAeUriNu/cMUvEV58FF5u7+Uv2y3xqiqrBjoYiPN7QKrdmQe+ISGcJyi
        0AvEc2hzTmhe3KHDnIq0E+dSdatvT3ndmmrFwUQXHZmhhSGzKRhAoBHeGzyFuuba
        vM+syp5Fkw==
        -----END ENCRYPTED PRIVATE KEY-----
        """
    static let hs256 = "dv4LjjcAjSevWDYAKwTIB6YZUpOkX6_JeE1rhNF1zuY"
    static let rs256 = """
        urFNqFUsWFD6WDIeDt5dSxsm5_2sZyQgViBskyiNvtFiUQ_ug7L-fredpbihbIihudYN-naV4E2mJbkL4iPDU4xx\
        l23C1_Onh5C5OIObevkXP2BjiorgL6iFnq_wdGt8qPLB-m-qWgSIDtSv_9QMqD1G8FhzYxWKTQbNPreecLhbivo4\
        UvnXScobxUowPTTgdz2ZT7Y0WRiqoY3znq-VeE4JrCgr70WcyYTk1a8_42s2mbhYY6LgPzsHe2Ujh-7ARchW_bFg\
        tG4XH3eTwqD2nGVGy0lXU5N-2dGcIIx9lsxHdVITjCFk-zTnOS-Ux2MMgNXLMRZvj_fLVHx0eFKtYQ
        """
    static let ps256 = """
        Ay9md8xzcsOnj4Gks42AzXYCmcUzql95fLvCsMTmcJCDuhbCixeYg8VeZ8F3eVA-rEQlsrS0qoDVNrBOQXC4Y3oT\
        EP3j8nPJAY1h0mN5lJJqBZBezC0oCuElsf8ft5dlebiauOpaAQ8oI_vEXW9F4JLJtTWz2eDK1DR7KGQF3AcoO3aI\
        h0LFU2Jp6Spv3TGIE7KPOJNQRVXS0HtBompLbVAZxVEiYIC296kjnVlCL030IFi8JgJ9-b0s5D2GVps7dmxC7N6K\
        jBQI0JXIyC-LrKXt9dHObKlM8VfSJSQJ0jDzlwDg_RV5kaPhvPU3qiLQ8m6EZRYPeHJvQSCyzJrSQg
        """
    static let es256 = "C8pnD3v1uHn9e0-Ivyc9P_AFcBqr0Ajm8dEgL72VZGMwsz9m1OEZ_I2NE3dZRTO4kwCOiJa9C3cmefLGoUXl2g"
    static let hs384 = "hPcfxTby0D4vZq0f-6tXYWn60mLpUIUqkgHGU0Qbg0HP6eZjS3XRfdhYAx3mbtHm"
    static let rs384 = """
        jEKQtyRgJgUecl6W3elX-cUxN4aV4FYqX9D2QhQozMbFps6GCCQbCM22rUldIlHgvSiapxzFKQNAP1V6WX5b_U3Y\
        6XbKKKDegcHwgExpYeYU8_lSe9w5apBqzGYlz2dtES71fQ4R6fAq6yWbutUOa21LiRYUChrXBQRTGABLDcv8T9EV\
        4LBXFjQ5lyhbgeSdm3NKrEdvpKUDwWjTZ1P1f72ZPp-1530QHdZiZ0gD5A39WSLmu_wX7nTufw1MEC-VlsSagykF\
        WQWKeqY2zoXlo1D-x467uobeKnInzDsfK3QvgFl4goiMdzFZNgJnbUXLoN5OcGOSTqochNRI0LrzOA
        """
    static let ps384 = """
        HNw-iU42J6CPTgj1Y76wqTqsy0yDiTY7sFPjRTmej4B_on7mPetRbP4Dm0YgzQhn70ykWSOeZUm3M8GKsurgHzAx\
        LTJ-EypG-2gDVZ_c-YXBy739bfuUvfxyma7aCOL-WlE-oo9ZxBTunLiXd27U31kf1Qaolz4CjE-gMD6Z-5vzKbU0\
        aJ467kjsOV5YslkFm2PUA5gPW2TmLjyQ37oofl3fQsyHFuI0DXt5o6DeGYsSRYr25DXAhyRPbrU-h_sBxc2Iv4ob\
        3PMVK9cb1X8spMX0G8HkV720VA_q1BiE2H9iME0VWAyzzr8DH_f_pBXOBDhSuAwgDhSEByStoJdoQg
        """
    static let es384 = """
        8KxNhwC5e96YM3jotP4u4faCe6I8iZ0QQKljuBh9V00Tg_up8Rrvo0qZSoXurS297BerWPiXW79VES_yRMG7AtW1\
        QvYNSMtt4Vkq7mR124UAuvZoEckFUG-HtL6KWkA3
        """
    static let hs512 = "6sTO9DqlE0OfmCzUYf5RXq4PQSypvUOILiOGun25R8_1VONMJrryby_7LBSWB0uxyLWmUkWhVk-SsYEmvBQTeg"
    static let rs512 = """
        Dolq0nVRLOzALF6R6VzoKg06ee7joYfdwysm1Kih8YhbuE6w05NtAtMF63XDXH8c20aHh1yfvH8sV1PfJtV-QmZe\
        QlmdBS9bLwkwgFhWh0TZjCJI6NwWnllJsKEcXdPi1d0TXZ6qlYVuvoLSnxh1DRIPBvLuez-yl4LwW8Pw9xdl52bV\
        255ugyqqaIs-HC7pmChKPIwv6owMkSu38bUGoP1wJmozceEUEucUGcU4tSRknto08oewLX_rV_6jK_0CtaLFFFp7\
        hmJj7jh7kJrF0vpb9ICCLeQ4DDPpfepgDhdKOsgmuuA7RECsrzKYbB8G5f-tuEhym9G0bBD1Gxcjww
        """
    static let ps512 = """
        1vTFbZr9VFHBU-tWfzWpOLBKfHLfUXfTrRH-uqhBqlTv7Eqss24B8Qed9xW10WiWVBcbPyG-GqD1geP7It1hjOvp\
        DtFBi_eMyMOvMVfDs8fRgxIufqmMlwzHWBROr8XFWcrAWCr5CD-nWqNZzGIKsAbAY9Kuy-fUSTTpPBulUIuodJHL\
        wWTTrf3FCogchpGh4vr5EdXWVEuAe9MJGCK5QrMMxp0gsqalMF7gD40Rt86IxqIuqjQrYMB1E8AJj3IWfvi4MRx0\
        R-6jcohGCLRVNxHEJGd4gkm43D_CEbq_TOwW--PiQJYt3OqxBO6Zz5F-MHUKcTObAKEvgUw-HldZog
        """
    static let es512 = """
        AeqqLv9KlmAm_7EyLmVDMFPTUXID2tiL16tp6GO2ZZyVChqVq9AE6Fm5I762Q526Es2RXoQ493GBN7W5XX-9bz4j\
        AD9iFdvKvdNFmQbrMR2lQjr3u36v3XDwcC3veNTNdXdv4NkwKuCce5I_h7bjbsxFbWOhhfIv7rwpz8-wpZC0kIth
        """
    static let ed25519 = "jdt9szTOaLrpVzjTYXHtSBAyMhhkZSJLcuaW1c4R-oZU0DgFg5aFMS6ONYvzv4F51q1yTIOxp6PrfafRAKM6BQ"
    static let ed448 = """
        Tu7MzDlC58d5WYgBN79Pn6mhqyNr2Yf8VV9x0TAJOgRvUBPet6roo8Rt8UyrNyGOOHzVTysVXYUAIpgYN44z47EA\
        kToXzlIwBlejnclznGal0OA-Sx0UndvPcdEQ8lgRmHM_HxB-t_pbgpEZZeochh0A
        """
    static let es256InDER = """
        MEQCICM8Yh9oYTHde2dWYHWXnQHKjh5kdD-oagQUx1qeZKURAiA_-bploJ71rb_IeGmoQMTC1SieVi7Ca9xJ4UMb\
        Q4t8tg
        """
    static let ps256WithoutSalt = """
        w0KjWrDRP_atafexf_4RSIyfp70DnmLJU2t6n4gzp3uP7M9uMf0XsAPs-hyHDqsIxv7FiLAAYbqAKhmx33HXu8a6\
        R1GBLHC4EZSnCtcFR9dKwQEZMe-92WLHdmidLC1RbGTNkiiKJJyGtNCSUTldHR5hPvbbpk-U9o9Db2Zg5g-nyOWZ\
        gW3ZovnaBxLVUjCLr2Cm49mE_yuSrQ_TuaWm6ucTnauwQZ8ZYpn2KW-Sws7oPAzHUQ3p88SPZ_OfOiqbS9PqcVjZ\
        n4OlIYI4xP-JuzGKtuhml7BSI_OXoUUTVB8wYV1gdJkW719s2cu9Knp4aM0upZSi-P8FcL832QuY0w
        """
    static let rsaModulus = """
        4ad1wRWC6HLDKG99YxR_Yc2PeF8_TLSztviKZnyo_OP7n6yZ1ye6V4D9B6RY6MzVtiLA_WEBycePHNeLNjOJLrx3\
        _ibfY_Cl8tk4SVTOZ8Q16UEABtC-uCmm-BvsNyxBP1apH1H8hoaa_VDOv1GmYOHcDYm2Lxr6v0BYO34IF424WH_e\
        jhvjyFnAGnpPjaB368SxGukrkuqnDh4BhHAU_Leum1migKDW_Y3iGdBA-z6YhUJiLfQLoqUHjSNlFc80o0o6xl7h\
        FHtAOyia3zLjt5funMF2eJDD9v3AKHJz74MEDsSEMdYg4hZBIXmo7y3-T6Gk-m4szhPL-317bqAvaQ
        """
    /// 2048 bits, with primes of the form k·M + 65537^a mod M.
    static let factorableModulus = """
        wwNJWj7Hn3Nq4uPietSs7vOAdVVPDLXwVPR85VIIdIPxnO6P2VUr2Nx6kn5fSN6e1HPqh8aSMv4lJTk9xKyWiC2z\
        059RJil5W7cUuYKjE-P3aE8GiK6tx42_U48NepiGt-fJ8lZv5iCvdR6TCNEDnCS7s0PFcjqsU7ActuCQksrvHape\
        8csvV-mLx76w_SxM1TaRTZSao-7r3R4jMvyrbVo9wOVX8dcH1EAitbWjGILzSACLh7TZLC2bLuXHSVqPlPFPWqxx\
        -qk4V2yANmhwJ5N8LrV-L-V8dUFBYdD74nXLvXK7jS_NNPKw8KkPrps5T5yvQ8rWVyn-nCNUEOcj2w
        """
    static let p256X = "4OwWr5tQNbnngfuGhPigmR_moqEJmIAThMUWDraNdaE"
    static let p256Y = "5reMsZSlSlKhuOb4byxjgDgftx8HnrCNhWOAGEZ197c"
    static let ed25519X = "dyHVkoMhPW3eP_sa_JlJgbSJD0EfuWjrrYo5jTYAUTI"
    static let ed448X = "w7M5f_6spsVlwWq5Svz-qT94ETZbTAVhz73wmQhFUDosvk4JKH4FP5OACm2-SPh0Z_u5mqNQo4CA"
}
