import Testing

@testable import gateway

@Suite struct `The command line` {
    private func command(_ name: String) throws -> Command {
        try #require(CommandTable.all.first { $0.name == name })
    }

    private func failure(_ name: String, _ words: String...) throws -> CommandFailure? {
        let command = try command(name)
        do throws(CommandFailure) {
            _ = try command.parse(words)
            return nil
        } catch {
            return error
        }
    }

    @Test func `takes a value behind its option or behind an equals sign`() throws {
        let call = try command("block").parse(["--for", "1d", "192.0.2.1", "--reason=a=b", "--json"])
        #expect(call.operands == ["192.0.2.1"])
        #expect(call.options == ["for": "1d", "reason": "a=b", "json": ""])
    }

    @Test func `takes everything behind two dashes for operands`() throws {
        let call = try command("block").parse(["--json", "--", "--for"])
        #expect(call.operands == ["--for"])
        #expect(call.options == ["json": ""])
    }

    @Test func `asks back about a slip`() throws {
        let usage = "usage: gateway status [--config FILE] [--socket PATH] [--json]"
        #expect(
            try failure("status", "--scoket", "x")?.message
                == "there is no option --scoket; did you mean --socket?\n\(usage)")
        #expect(try failure("status", "-j")?.message == "there is no option -j; did you mean --json?\n\(usage)")
        #expect(try failure("status", "--socket")?.message == "--socket needs PATH\n\(usage)")
        #expect(try failure("status", "--json=1")?.message == "--json takes no value\n\(usage)")
        #expect(try failure("status", "--json", "--json")?.message == "--json stands twice\n\(usage)")
        #expect(try failure("status", "now")?.message == "\"now\" is one word too many\n\(usage)")
        #expect(try failure("block")?.message.hasPrefix("ADDRESS|CIDR is missing\n") == true)
        #expect(try failure("block")?.code == .usage)
    }

    @Test func `finds the configuration by option, by variable, or here`() {
        var call = Invocation()
        #expect(call.configurationPath == "gateway.conf")
        call.environment = ["GATEWAY_CONFIG": ""]
        #expect(call.configurationPath == "gateway.conf")
        call.environment = ["GATEWAY_CONFIG": "/etc/gateway.conf"]
        #expect(call.configurationPath == "/etc/gateway.conf")
        call.options = ["config": "other.conf"]
        #expect(call.configurationPath == "other.conf")
    }

    @Test func `returns 64 for what makes no sense, before anything is done`() {
        #expect(Program.run([], environment: [:]) == .usage)
        #expect(Program.run(["blok"], environment: [:]) == .usage)
        #expect(Program.run(["block", "10.1.2.3/8"], environment: [:]) == .usage)
        #expect(Program.run(["block", "192.0.2.1", "--for", "2y"], environment: [:]) == .usage)
        #expect(Program.run(["unblock"], environment: [:]) == .usage)
        #expect(Program.run(["unblock", "192.0.2.1", "--all"], environment: [:]) == .usage)
        #expect(Program.run(["log-level", "loud"], environment: [:]) == .usage)
        #expect(Program.run(["reference", "login.widnow"], environment: [:]) == .usage)
        #expect(Program.run(["blocks", "--limit", "0"], environment: [:]) == .usage)
    }

    @Test func `returns 69 where no gateway answers and 78 where the configuration has mistakes`() {
        #expect(Program.run(["status", "--socket", "/tmp/there/is/no/gateway"], environment: [:]) == .unreachable)
        #expect(Program.run(["status", "--config", "/there/is/no/file"], environment: [:]) == .configuration)
        #expect(Program.run(["check", "--config", "/there/is/no/file"], environment: [:]) == .configuration)
        #expect(Program.run(["run", "--config", "/there/is/no/file"], environment: [:]) == .configuration)
    }

    @Test func `reads how long to block`() {
        #expect(BlockLength("30s") == .seconds(30))
        #expect(BlockLength("10m") == .seconds(600))
        #expect(BlockLength("12h") == .seconds(43_200))
        #expect(BlockLength("1d") == .seconds(86_400))
        #expect(BlockLength("3650d") == .seconds(315_360_000))
        #expect(BlockLength("permanent") == .permanent)
        for text in ["", "s", "0s", "-1s", "1", "1w", "3651d", "1.5h", "99999999999999999999s", "forever"] {
            #expect(BlockLength(text) == nil, "\(text)")
        }
    }
}
