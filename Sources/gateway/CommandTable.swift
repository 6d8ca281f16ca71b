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
            name: "log-level", operands: "LEVEL", operandCount: 1...1, options: [.config, .socket, .json],
            summary: "Set the log level of the running gateway until its next reload: debug, info, warning or error.",
            action: OperatorCommands.logLevel),
        Command(
            name: "version", options: [.socket, .json],
            summary: "Print the version of this program, and with --socket that of the running gateway.",
            action: OperatorCommands.version),
    ]
}
