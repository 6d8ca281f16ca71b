import Testing

@testable import Settings

@Suite struct `A mistake in a variable` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "an unknown variable",
            minimal,
            variables: ["GATEWAY_LOGIN__LIMTI": "5"],
            says: """
                GATEWAY_LOGIN__LIMTI: error: there is no such setting
                    did you mean GATEWAY_LOGIN__LIMIT?
                """),
        Mistake(
            "an unknown variable that is like no other but for its beginning",
            minimal,
            variables: ["GATEWAY_LIMIT": "5"],
            says: """
                GATEWAY_LIMIT: error: there is no such setting
                    `gateway reference` lists the names
                """),
        Mistake(
            "a variable of another form",
            minimal,
            variables: ["GATEWAY_JWT_SECRET": "hunter2", "GATEWAY_LOGIN_LIMIT": "5"],
            says: """
                GATEWAY_JWT_SECRET: error: there is no such setting
                    did you mean JWT_SECRET?
                GATEWAY_LOGIN_LIMIT: error: there is no such setting
                    did you mean GATEWAY_LOGIN__LIMIT?
                """),
        Mistake(
            "a variable for an upstream that is not there",
            minimal,
            variables: ["GATEWAY_UPSTREAMS__APP__SERVERS": "127.0.0.1:1"],
            says: """
                GATEWAY_UPSTREAMS__APP__SERVERS: error: there is no such setting
                    did you mean GATEWAY_UPSTREAMS__API__SERVERS?
                """),
        Mistake(
            "values that are wrong",
            minimal,
            variables: [
                "GATEWAY_PORT": "http", "GATEWAY_LOGIN__LIMIT": "0", "GATEWAY_BLOCK_DURATION_SECONDS": "5m",
                "REDIS_HOST": "localhost", "REDIS_DB": "x",
            ],
            says: """
                GATEWAY_PORT: error: "http" is not a port
                    a port is a number from 0 to 65535
                GATEWAY_LOGIN__LIMIT: error: 0 is out of range
                    from 1 to 1000000
                GATEWAY_BLOCK_DURATION_SECONDS: error: "5m" is not a number of seconds
                    write digits only, such as 300
                REDIS_DB: error: "x" is not a number
                    write digits only, without leading zeros, such as 10
                """),
        Mistake(
            "variables that Kubernetes sets",
            minimal,
            variables: [
                "GATEWAY_PORT": "tcp://10.0.0.1:8080", "GATEWAY_SERVICE_HOST": "10.0.0.1",
                "REDIS_PORT": "tcp://10.0.0.2:6379",
            ],
            says: """
                GATEWAY_PORT: error: "tcp://10.0.0.1:8080" is not a port
                    Kubernetes sets GATEWAY_PORT for a Service of that name: set enableServiceLinks: false in the pod
                REDIS_PORT: error: "tcp://10.0.0.2:6379" is not a port
                    Kubernetes sets REDIS_PORT for a Service of that name: set enableServiceLinks: false in the pod
                GATEWAY_SERVICE_HOST: error: there is no such setting
                    Kubernetes sets it for a Service named gateway: set enableServiceLinks: false in the pod
                """),
        Mistake(
            "two variables for one setting",
            minimal,
            variables: ["GATEWAY_LOGIN__BLOCK": "5m", "GATEWAY_BLOCK_DURATION_SECONDS": "300"],
            says: """
                GATEWAY_BLOCK_DURATION_SECONDS: error: it sets "login.block", and so does GATEWAY_LOGIN__BLOCK
                    unset one of them
                """),
        Mistake(
            "what is not built yet",
            minimal,
            variables: ["MFA_REQUIRED_FOR_ADMIN": "false", "RATE_LIMIT_WINDOW": "60"],
            says: """
                RATE_LIMIT_WINDOW: error: a rate limit of this kind is not built yet, so this variable would do nothing
                    unset it
                """),
        Mistake(
            "a burst of no rate, and rates that are none",
            minimal,
            variables: [
                "RATE_LIMIT_BURST": "10", "GATEWAY_RATE_LIMITS__PER_IDENTITY__RATE": "100",
                "GATEWAY_RATE_LIMIT": "many",
            ],
            says: """
                GATEWAY_RATE_LIMIT: error: "many" is not a number of requests
                    write digits only, such as 100; 0 is no limit
                GATEWAY_RATE_LIMITS__PER_IDENTITY__RATE: error: "100" is not a rate
                    write requests per s, min, h or d, such as 100/min, from 1 to 1000000; or off
                RATE_LIMIT_BURST: error: there is no limit, so this would do nothing
                    set "rate_limits.per_address.rate", for example 100/min
                """),
        Mistake(
            "TLS without what it needs",
            minimal, variables: ["FORCE_HTTPS": "true", "GATEWAY_TLS__LISTEN": "127.0.0.1:8443"],
            says: """
                GATEWAY_TLS__LISTEN: error: there is no certificate to serve TLS with
                    set "tls.certificate_file"
                FORCE_HTTPS: error: there is no TLS listener to redirect to
                    set "tls.certificate_file"
                """),
        Mistake(
            "secrets that are too short",
            minimal,
            variables: ["JWT_SECRET": "hunter2", "REDIS_PASSWORD": "x", "RSA_PRIVATE_KEY": "hunter2"],
            says: """
                REDIS_PASSWORD: warning: no Redis is configured, so this variable does nothing
                    set REDIS_HOST, or "redis" in the file
                JWT_SECRET: error: the secret has 7 bytes and needs at least 32
                    make one with: openssl rand -hex 32
                RSA_PRIVATE_KEY: error: the value is not PEM: it has no line "-----BEGIN …-----"
                """),
        Mistake(
            "a PEM in base64",
            minimal, variables: ["RSA_PRIVATE_KEY": "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg=="],
            says: """
                RSA_PRIVATE_KEY: error: the value is base64 of a PEM, and not the PEM itself
                    decode it with base64 -d
                """),
        Mistake(
            "a secret and its file",
            minimal,
            variables: ["JWT_SECRET": "0123456789abcdef0123456789abcdef", "JWT_SECRET_FILE": "/run/jwt"],
            says: """
                JWT_SECRET: error: it is set, and so is JWT_SECRET_FILE
                    unset one of them
                """),
    ]
}
