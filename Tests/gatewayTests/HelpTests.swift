import Glibc
import Testing

@testable import gateway

@Suite struct `Help` {
    @Test func `lists the commands and the exit codes`() throws {
        #expect(
            try Program.help([]) == """
                usage: gateway COMMAND [OPTION…]

                  run                   Serve until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR1 reopens the logs, SIGUSR2 upgrades.
                  check                 Say what is wrong with the configuration, and whether its files can be written.
                  reference             Print every setting: what it means, its range, its default, its variables.
                  block                 Refuse every request of an address or network with 403.
                  unblock               Lift a block and forget the failed logins, so that the next 401 does not block again.
                  blocks                List the blocks in force.
                  unlock                Unlock an account and forget its failed logins.
                  locks                 List the accounts that are locked, by the hashes of their names.
                  allow                 Let an address or network past every block for a while, on all replicas.
                  allowed               List those who are let past every block for a while.
                  disallow              Have blocks hold an address or network back again before its time.
                  feeds list            List the feeds of addresses: action, state, entries, last update, problem.
                  feeds update          Read or fetch a feed, or all of them, now; exit code 1 when one is no good.
                  threats               List patterns of attacks in the failed logins of late, those that go on first.
                  test-webhook          Send a message to the webhook for threats now; exit code 1 when it is not accepted.
                  revoke                Refuse tokens from now on, on all replicas, and close what they have opened.
                  unrevoke              Take a revocation back.
                  revocations           List what is revoked.
                  lockdown              Refuse every request of a route with 503 for a while, on all replicas, and close what is open.
                  lockdowns             List the routes that are closed.
                  unlock-route          Open a route again before its time.
                  break-glass           Let some networks use a route without a good token for a while; alone: list what is open.
                  rate-limit            Set a rate limit for a while; alone: list the limits.
                  keys list             List the keys that tokens are checked with: state, fingerprint, traffic, tokens in use.
                  keys add              Accept tokens of one more key, on all replicas, without a reload.
                  keys remove           Take a key away that was added.
                  keys retire           Refuse tokens of a key from a time on, on all replicas; until then they are good.
                  keys revoke           Refuse tokens of a key at once, on all replicas, and close what they have opened.
                  keys rollback         Accept a key again that was retired or revoked.
                  keys verify           Prove on every worker which keys' tokens are accepted now; with --token-file, whether that one is.
                  status                Show how the running gateway is.
                  reload                Have the running gateway read its configuration again; a bad one changes nothing.
                  upgrade               Have the running gateway's program started anew and take over; one that fails changes nothing.
                  rotate-assertion-key  Have the running gateway publish a new key for its assertions and, in a while, sign with it.
                  log-level             Set the log level of the running gateway for a while: debug, info, warning or error.
                  version               Print the version of this program, and with --socket that of the running gateway.
                  help                  Explain a command: gateway help COMMAND.

                exit codes
                  0   all went well
                  1   the gateway was reached, and refused or failed to do what was asked
                  64  the command line makes no sense
                  69  no gateway answers on the admin socket
                  71  the system refused something: a port in use, a file that cannot be written, too few open files
                  78  the configuration has mistakes

                """)
    }

    @Test func `explains a command with its options`() throws {
        #expect(
            try Program.help(["run"]) == """
                usage: gateway run [--config FILE]

                Serve until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR1 reopens the logs, SIGUSR2 upgrades.
                Mistakes in the configuration are printed to standard error, and nothing is started.
                The line with "event":"gateway.ready" on standard output names the bound addresses.

                  --config FILE  the configuration; else GATEWAY_CONFIG, else ./gateway.conf

                """)
        #expect(
            try Program.help(["unblock"]) == """
                usage: gateway unblock [ADDRESS|CIDR] [--all] [--config FILE] [--socket PATH] [--json]

                Lift a block and forget the failed logins, so that the next 401 does not block again.

                  --all          every block there is
                  --config FILE  the configuration; else GATEWAY_CONFIG, else ./gateway.conf
                  --socket PATH  the gateway's admin socket; else the one its configuration names
                  --json         print JSON instead of text

                """)
    }

    @Test func `asks back about a command that is none`() {
        #expect(
            throws: CommandFailure(
                .usage, "there is no command \"unblok\"; did you mean unblock?\n`gateway help` lists what there is")
        ) { _ = try Program.help(["unblok"]) }
        #expect(
            throws: CommandFailure(.usage, "there is no command \"xyzzy\"\n`gateway help` lists what there is")
        ) { _ = try Program.help(["xyzzy"]) }
    }

    @Test func `is complete: every command and option has one sentence`() {
        for command in CommandTable.all {
            #expect(command.summary.hasSuffix("."), "\(command.name)")
            for option in command.options {
                #expect(!option.help.isEmpty && !option.help.hasSuffix("."), "\(command.name) --\(option.name)")
            }
        }
        #expect(Set(CommandTable.all.map(\.name)).count == CommandTable.all.count)
    }

    @Test func `says of exit codes what docs/exit-codes.md says`() throws {
        let page = try text(of: "docs/exit-codes.md")
        for code in ExitCode.allCases {
            #expect(page.contains("| \(code.rawValue) | \(code.meaning) |"), "\(code)")
        }
        #expect(page.split(separator: "\n").count { $0.hasPrefix("| ") } == ExitCode.allCases.count + 1)
    }

    /// A file of the repository.
    private func text(of path: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/\(path)", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
