/// One row of the table of commands: everything that help, the parser of arguments and the errors know of it.
struct Command: Sendable {
    let name: String
    /// As help shows them: `ADDRESS|CIDR`; empty: none.
    var operands = ""
    var operandCount = 0...0
    let options: [Option]
    /// One sentence.
    let summary: String
    /// Further sentences for `gateway help NAME`.
    var details: [String] = []
    let action: @Sendable (Invocation) throws(CommandFailure) -> ExitCode

    /// `block ADDRESS|CIDR [--for TIME] …`
    var synopsis: String {
        ([name] + (operands.isEmpty ? [] : [operands]) + options.map { "[\($0.form)]" }).joined(separator: " ")
    }
}

struct Option: Hashable, Sendable {
    /// Without the dashes.
    let name: String
    /// What follows it, as help shows it; nil: nothing.
    let value: String?
    /// One sentence without a full stop.
    let help: String

    /// `--for TIME`
    var form: String { "--\(name)" + (value.map { " \($0)" } ?? "") }

    static let config = Option(
        name: "config", value: "FILE", help: "the configuration; else GATEWAY_CONFIG, else ./gateway.conf")
    static let socket = Option(
        name: "socket", value: "PATH", help: "the gateway's admin socket; else the one its configuration names")
    static let json = Option(name: "json", value: nil, help: "print JSON instead of text")
}

/// A command as it was called.
struct Invocation: Sendable {
    var operands: [String] = []
    /// By name; of options without a value the empty string.
    var options: [String: String] = [:]
    var environment: [String: String] = [:]
    /// The program as it was called, and every word behind it.
    var commandLine: [String] = []

    func has(_ option: String) -> Bool { options[option] != nil }

    var configurationPath: String {
        // An empty variable counts as not set, as everywhere: Compose files pass `${NAME:-}`.
        let named = environment["GATEWAY_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        return options["config"] ?? named ?? "gateway.conf"
    }
}

extension Command {
    /// Reads the words behind the command's name. A value stands behind its option or behind `=`; `--` ends the options.
    func parse(_ words: [String]) throws(CommandFailure) -> Invocation {
        var call = Invocation()
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                call.operands += rest
                break
            }
            guard word.hasPrefix("-"), word != "-" else {
                call.operands.append(word)
                continue
            }
            let parts = word.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts.first ?? "")
            guard word.hasPrefix("--"), let option = options.first(where: { $0.name == name }) else {
                let begun = options.filter { !name.isEmpty && $0.name.hasPrefix(name) }
                let guess = begun.count == 1 ? begun[0].name : nearest(name, options.map(\.name))
                throw usage("there is no option \(word)", guess: guess.map { "--\($0)" })
            }
            guard call.options[name] == nil else { throw usage("--\(name) stands twice") }
            if option.value == nil {
                guard parts.count == 1 else { throw usage("--\(name) takes no value") }
                call.options[name] = ""
            } else if parts.count == 2 {
                call.options[name] = String(parts[1])
            } else {
                guard let value = rest.popFirst() else { throw usage("--\(name) needs \(option.value ?? "a value")") }
                call.options[name] = value
            }
        }
        guard operandCount.contains(call.operands.count) else {
            if let extra = call.operands.dropFirst(operandCount.upperBound).first {
                throw usage("\"\(extra)\" is one word too many")
            }
            throw usage("\(operands) is missing")
        }
        return call
    }

    func usage(_ message: String, guess: String? = nil) -> CommandFailure {
        let question = guess.map { "; did you mean \($0)?" } ?? ""
        return CommandFailure(.usage, "\(message)\(question)\nusage: gateway \(synopsis)")
    }
}
