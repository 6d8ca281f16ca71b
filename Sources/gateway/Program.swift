internal import Glibc
internal import Settings

/// From the words of the command line to an exit code.
enum Program {
    /// - Parameters:
    ///   - words: without the program's own name.
    ///   - program: as it was called.
    static func run(_ words: [String], as program: String = "gateway", environment: [String: String]) -> ExitCode {
        do throws(CommandFailure) {
            return try perform(program, words, environment)
        } catch {
            Terminal.error(error.message)
            return error.code
        }
    }

    private static func perform(
        _ program: String, _ words: [String], _ environment: [String: String]
    ) throws(CommandFailure) -> ExitCode {
        guard let name = words.first else {
            throw CommandFailure(.usage, HelpText.overview())
        }
        var rest = Array(words.dropFirst())
        switch name {
        case "help", "--help", "-h":
            Terminal.print(try help(rest))
            return .ok
        case "--version": return try perform(program, ["version"] + rest, environment)
        default: break
        }
        let command = try find(name, &rest)
        if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            Terminal.print(HelpText.of(command))
            return .ok
        }
        var call = try command.parse(rest)
        call.environment = environment
        call.commandLine = [program] + words
        return try command.action(call)
    }

    static func help(_ words: [String]) throws(CommandFailure) -> String {
        guard let name = words.first else { return HelpText.overview() }
        var rest = Array(words.dropFirst())
        return HelpText.of(try find(name, &rest))
    }

    /// Takes the second word of the command's name out of `rest`, where it has one.
    private static func find(_ first: String, _ rest: inout [String]) throws(CommandFailure) -> Command {
        var name = first
        if CommandTable.all.contains(where: { $0.name.hasPrefix("\(first) ") }) {
            let second = rest.first.flatMap { $0.hasPrefix("-") ? nil : $0 }
            if second != nil { rest.removeFirst() }
            guard let second else {
                throw CommandFailure(.usage, HelpText.group(first))
            }
            name += " \(second)"
        }
        if let command = CommandTable.all.first(where: { $0.name == name }) { return command }
        let groups = Set(
            CommandTable.all.compactMap { $0.name.split(separator: " ").dropLast().first.map(String.init) })
        let guess = nearest(name, CommandTable.all.map(\.name) + ["help"] + groups)
        let question = guess.map { "; did you mean \($0)?" } ?? ""
        throw CommandFailure(
            .usage, "there is no command \"\(name)\"\(question)\n`gateway help` lists what there is")
    }
}

/// The candidate that was probably meant.
func nearest(_ word: String, _ candidates: [String]) -> String? { closest(to: word, among: candidates) }

/// Standard output and error, written at once: what a command says is short.
enum Terminal {
    static func print(_ text: String) { write(text, to: STDOUT_FILENO) }

    /// With a newline behind it, where there is none.
    static func error(_ text: String) {
        guard !text.isEmpty else { return }
        write(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }
}
