/// The commands, in the order in which help lists them.
enum CommandTable {
    static let all: [Command] = [
        Command(
            name: "run", options: [.config],
            summary: "Serve until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR1 reopens the logs, SIGUSR2 upgrades.",
            details: [
                "Mistakes in the configuration are printed to standard error, and nothing is started.",
                "The line with \"event\":\"gateway.ready\" on standard output names the bound addresses.",
            ],
            action: ServiceCommands.run),
        Command(
            name: "check",
            options: [
                .config, .json,
                Option(
                    name: "effective", value: nil,
                    help: "print every setting in force and where it comes from, secrets redacted"),
            ],
            summary: "Say what is wrong with the configuration, and whether its files can be written.",
            action: ServiceCommands.check),
        Command(
            name: "reference", operands: "[SETTING]", operandCount: 0...1,
            options: [
                Option(name: "markdown", value: nil, help: "as docs/configuration.md"),
                Option(name: "schema", value: nil, help: "as a JSON Schema for editors"),
            ],
            summary: "Print every setting: what it means, its range, its default, its variables.",
            action: ServiceCommands.reference),
        Command(
            name: "block", operands: "ADDRESS|CIDR", operandCount: 1...1,
            options: [
                Option(
                    name: "for", value: "TIME",
                    help: "30s, 10m, 12h, 7d or permanent; else as long as the rule for failed logins blocks"),
                Option(name: "reason", value: "TEXT", help: "written into the block and the audit record"),
                .config, .socket, .json,
            ],
            summary: "Refuse every request of an address or network with 403.",
            action: OperatorCommands.block),
        Command(
            name: "unblock", operands: "[ADDRESS|CIDR]", operandCount: 0...1,
            options: [
                Option(name: "all", value: nil, help: "every block there is"), .config, .socket, .json,
            ],
            summary: "Lift a block and forget the failed logins, so that the next 401 does not block again.",
            action: OperatorCommands.unblock),
        Command(
            name: "blocks",
            options: [
                Option(name: "limit", value: "NUMBER", help: "at most so many, the newest first; else 1000"),
                .config, .socket, .json,
            ],
            summary: "List the blocks in force.",
            action: OperatorCommands.blocks),
        Command(
            name: "unlock", operands: "[ACCOUNT]", operandCount: 0...1,
            options: [
                Option(name: "hash", value: "HASH", help: "the account as the list of locks shows it"),
                Option(name: "all", value: nil, help: "every account that is locked"),
                AccountCommands.from, .config, .socket, .json,
            ],
            summary: "Unlock an account and forget its failed logins.",
            details: ["Blocks of addresses stay: those are lifted by unblock, which in turn unlocks no account."],
            action: AccountCommands.unlock),
        Command(
            name: "locks",
            options: [
                Option(name: "limit", value: "NUMBER", help: "at most so many, the newest first; else 1000"),
                .config, .socket, .json,
            ],
            summary: "List the accounts that are locked, by the hashes of their names.",
            action: AccountCommands.locks),
        Command(
            name: "allow", operands: "ADDRESS|CIDR", operandCount: 1...1,
            options: [
                Option(name: "for", value: "TIME", help: "30s, 10m, 12h, at most 30d; it ends by itself"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                .config, .socket, .json,
            ],
            summary: "Let an address or network past every block for a while, on all replicas.",
            details: [
                "No rule blocks it meanwhile; its failed logins are counted and told all the same.",
                "--for must be there. A second one of the same network takes the place of the first.",
            ],
            action: AllowanceCommands.allow),
        Command(
            name: "allowed", options: [.config, .socket, .json],
            summary: "List those who are let past every block for a while.",
            action: AllowanceCommands.allowed),
        Command(
            name: "disallow", operands: "ADDRESS|CIDR", operandCount: 1...1, options: [.config, .socket, .json],
            summary: "Have blocks hold an address or network back again before its time.",
            action: AllowanceCommands.disallow),
        Command(
            name: "feeds list", options: [.config, .socket, .json],
            summary: "List the feeds of addresses: action, state, entries, last update, problem.",
            action: FeedCommands.list),
        Command(
            name: "feeds update", operands: "[FEED]", operandCount: 0...1,
            options: [
                Option(
                    name: "may-shrink", value: nil, help: "take a list that has less than half of its former entries"),
                .config, .socket, .json,
            ],
            summary: "Read or fetch a feed, or all of them, now; exit code 1 when one is no good.",
            action: FeedCommands.update),
        Command(
            name: "threats", options: [.config, .socket, .json],
            summary: "List patterns of attacks in the failed logins of late, those that go on first.",
            action: ThreatCommands.list),
        Command(
            name: "test-webhook", options: [.config, .socket, .json],
            summary: "Send a message to the webhook for threats now; exit code 1 when it is not accepted.",
            action: ThreatCommands.testWebhook),
        Command(
            name: "revoke",
            options: RevocationCommands.targets + [
                RevocationCommands.tokenFile,
                Option(
                    name: "issued-before", value: "TIME",
                    help: "only those issued until then: now, 2026-11-29T07:00:00Z, or seconds since 1970"),
                Option(
                    name: "for", value: "TIME",
                    help:
                        "30s, 10m, 12h, 7d or permanent; else until it is taken back, and a --token-file until it has "
                        + "expired"),
                Option(name: "reason", value: "TEXT", help: "written into the revocation and the audit record"),
                .config, .socket, .json,
            ],
            summary: "Refuse tokens from now on, on all replicas, and close what they have opened.",
            details: [
                "Stolen tokens: --sub USER --issued-before now; who logs in again is let in.",
                "A leaked key: gateway keys revoke, since whoever has it makes tokens of any date.",
            ],
            action: RevocationCommands.revoke),
        Command(
            name: "unrevoke", options: RevocationCommands.targets + [.config, .socket, .json],
            summary: "Take a revocation back.",
            action: RevocationCommands.unrevoke),
        Command(
            name: "revocations",
            options: [
                Option(name: "limit", value: "NUMBER", help: "at most so many, the newest first; else 1000"),
                .config, .socket, .json,
            ],
            summary: "List what is revoked.",
            action: RevocationCommands.revocations),
        Command(
            name: "lockdown", operands: "ROUTE", operandCount: 1...1,
            options: [
                Option(name: "for", value: "TIME", help: "30s, 10m, 12h, at most 7d; it opens again by itself"),
                Option(
                    name: "allow", value: "LIST", help: "who is let through all the same: 203.0.113.7,10.0.0.0/8"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                .config, .socket, .json,
            ],
            summary: "Refuse every request of a route with 503 for a while, on all replicas, and close what is open.",
            details: [
                "ROUTE is its name in the access log: the one of the configuration, or else its path.",
                "--for must be there. A second one of the same route takes the place of the first.",
            ],
            action: LockdownCommands.lockDown),
        Command(
            name: "lockdowns", options: [.config, .socket, .json],
            summary: "List the routes that are closed.",
            action: LockdownCommands.lockdowns),
        Command(
            name: "unlock-route", operands: "ROUTE", operandCount: 1...1, options: [.config, .socket, .json],
            summary: "Open a route again before its time.",
            action: LockdownCommands.unlockRoute),
        Command(
            name: "break-glass", operands: "[ROUTE]", operandCount: 0...1,
            options: [
                Option(
                    name: "for", value: "TIME", help: "30s, 10m, at most 1h and what the route's break_glass allows"),
                Option(name: "allow", value: "LIST", help: "who may use it: 203.0.113.7,10.1.0.0/16"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                Option(name: "end", value: nil, help: "ask for tokens again before the time is over"),
                .config, .socket, .json,
            ],
            summary: "Let some networks use a route without a good token for a while; alone: list what is open.",
            details: [
                "Only where routes[].break_glass allows it, on this gateway alone, and never over a restart.",
                "Each request that gets through so has an audit record, and X-Break-Glass tells the backend.",
            ],
            action: BreakGlassCommands.breakGlass),
        Command(
            name: "rate-limit", operands: "[LIMIT]", operandCount: 0...1,
            options: [
                Option(name: "rate", value: "RATE", help: "20/min, 5/s, 1000/h, or off"),
                Option(name: "burst", value: "NUMBER", help: "requests that may come at once; else 10"),
                Option(name: "for", value: "TIME", help: "30s, 10m, 12h, at most 7d; then it is as configured again"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                Option(name: "restore", value: nil, help: "make it as configured before the time is over"),
                .config, .socket, .json,
            ],
            summary: "Set a rate limit for a while; alone: list the limits.",
            details: [
                "LIMIT is per_address, per_identity, or the name of a route that has a rate_limit.",
                "On this gateway alone; it outlives a reload, but not the process.",
            ],
            action: RateLimitCommands.rateLimit),
        Command(
            name: "keys list", options: [.config, .socket, .json],
            summary: "List the keys that tokens are checked with: state, fingerprint, traffic, tokens in use.",
            action: KeyCommands.list),
        Command(
            name: "keys add", operands: "KEY", operandCount: 1...1,
            options: [
                Option(name: "secret-file", value: "FILE", help: "holds a shared secret"),
                Option(
                    name: "pem-file", value: "FILE", help: "holds a public key or a certificate; needs --algorithms"),
                Option(
                    name: "algorithms", value: "LIST", help: "such as HS256 or RS256,PS256; else all that fit a secret"),
                Option(name: "issuer", value: "ISSUER", help: "the one whose tokens the key is for; else any"),
                .config, .socket, .json,
            ],
            summary: "Accept tokens of one more key, on all replicas, without a reload.",
            action: KeyCommands.add),
        Command(
            name: "keys remove", operands: "KEY", operandCount: 1...1,
            options: [
                Option(name: "in-use", value: nil, help: "also when tokens of it are in use"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                KeyCommands.dryRun, .config, .socket, .json,
            ],
            summary: "Take a key away that was added.",
            action: KeyCommands.remove),
        Command(
            name: "keys retire", operands: "KEY", operandCount: 1...1,
            options: [
                Option(name: "in", value: "TIME", help: "30m, 12h, 7d"),
                Option(name: "at", value: "TIME", help: "such as 2026-11-29T07:00:00Z"),
                Option(name: "last", value: nil, help: "also when no other key is accepted then"),
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                KeyCommands.dryRun, .config, .socket, .json,
            ],
            summary: "Refuse tokens of a key from a time on, on all replicas; until then they are good.",
            action: KeyCommands.retire),
        Command(
            name: "keys revoke", operands: "KEY", operandCount: 1...1,
            options: [
                Option(name: "reason", value: "TEXT", help: "written into the audit record"),
                KeyCommands.dryRun, .config, .socket, .json,
            ],
            summary: "Refuse tokens of a key at once, on all replicas, and close what they have opened.",
            action: KeyCommands.revoke),
        Command(
            name: "keys rollback", operands: "KEY", operandCount: 1...1,
            options: [KeyCommands.dryRun, .config, .socket, .json],
            summary: "Accept a key again that was retired or revoked.",
            action: KeyCommands.rollback),
        Command(
            name: "keys verify",
            options: [
                RevocationCommands.tokenFile,
                Option(name: "expect", value: "WORD", help: "accepted (else) or refused: what the exit code is about"),
                .config, .socket, .json,
            ],
            summary:
                "Prove on every worker which keys' tokens are accepted now; with --token-file, whether that one is.",
            action: KeyCommands.verify),
        Command(
            name: "status", options: [.config, .socket, .json],
            summary: "Show how the running gateway is.",
            action: OperatorCommands.status),
        Command(
            name: "reload", options: [.config, .socket, .json],
            summary: "Have the running gateway read its configuration again; a bad one changes nothing.",
            action: OperatorCommands.reload),
        Command(
            name: "upgrade", options: [.config, .socket, .json],
            summary: "Have the running gateway's program started anew and take over; one that fails changes nothing.",
            details: ["It is the program that the running gateway was started by, as its path leads to it now."],
            action: OperatorCommands.upgrade),
        Command(
            name: "rotate-assertion-key",
            options: [
                Option(
                    name: "compromised", value: nil,
                    help: "the keys before are in the wrong hands: withdraw them and sign with the new one at once"),
                .config, .socket, .json,
            ],
            summary: "Have the running gateway publish a new key for its assertions and, in a while, sign with it.",
            details: [
                "In a while: when whoever verifies must have asked for the keys again (assertion.jwks_max_age).",
                "A key of assertion.key_file is rotated by putting another one in front of it.",
            ],
            action: OperatorCommands.rotateAssertionKey),
        Command(
            name: "log-level", operands: "LEVEL", operandCount: 1...1,
            options: [
                Option(name: "for", value: "TIME", help: "30s, 10m, 12h, at most 24h; else until the next reload"),
                Option(
                    name: "scope", value: "SCOPE",
                    help: "only events of this name before the dot: ledger, upstream, tls"),
                .config, .socket, .json,
            ],
            summary: "Set the log level of the running gateway for a while: debug, info, warning or error.",
            details: ["What has a time outlives a reload, but not the process."],
            action: OperatorCommands.logLevel),
        Command(
            name: "version", options: [.socket, .json],
            summary: "Print the version of this program, and with --socket that of the running gateway.",
            action: OperatorCommands.version),
    ]
}
