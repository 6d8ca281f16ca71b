/// What `gateway help` prints; all of it comes from the table of commands and the exit codes.
enum HelpText {
    static func overview() -> String {
        let width = column(CommandTable.all.map(\.name) + ["help"])
        var text = "usage: gateway COMMAND [OPTION…]\n\n"
        for command in CommandTable.all { text += "  \(pad(command.name, width))\(command.summary)\n" }
        text += "  \(pad("help", width))Explain a command: gateway help COMMAND.\n"
        return text + "\n" + exitCodes
    }

    /// The commands that begin with one word: `keys`.
    static func group(_ first: String) -> String {
        let commands = CommandTable.all.filter { $0.name.hasPrefix("\(first) ") }
        let width = column(commands.map(\.name))
        return "usage: gateway \(first) COMMAND\n\n"
            + commands.map { "  \(pad($0.name, width))\($0.summary)\n" }.joined()
    }

    static func of(_ command: Command) -> String {
        var text = "usage: gateway \(command.synopsis)\n\n\(command.summary)\n"
        for line in command.details { text += "\(line)\n" }
        guard !command.options.isEmpty else { return text }
        let width = column(command.options.map(\.form))
        text += "\n"
        for option in command.options { text += "  \(pad(option.form, width))\(option.help)\n" }
        return text
    }

    private static var exitCodes: String {
        var text = "exit codes\n"
        for code in ExitCode.allCases { text += "  \(pad(String(code.rawValue), 4))\(code.meaning)\n" }
        return text
    }

    private static func column(_ words: [String]) -> Int { (words.map(\.count).max() ?? 0) + 2 }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
