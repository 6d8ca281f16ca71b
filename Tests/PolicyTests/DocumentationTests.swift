import Glibc
import Testing

@testable import Policy

/// docs/life-of-a-request.md promises to be the table of refusals in words. Here it is held to that.
@Suite struct `The page on the life of a request` {
    let page: String
    let source: String

    init() throws {
        page = try repositoryText("docs/life-of-a-request.md")
        source = try repositoryText("Sources/Policy/Refusal.swift")
    }

    @Test func `its headings are the stages in their order`() {
        #expect(headings == Stage.allCases.map(\.rawValue))
    }

    @Test func `the table at its top lists the stages in their order`() {
        let rows = lines(of: page).filter { $0.contains("](#") && $0.hasPrefix("| ") }
        let expected = Stage.allCases.enumerated().map { number, stage in "| \(number + 1) | [\(stage)](#\(stage)) |" }
        #expect(rows.count == expected.count)
        for (row, start) in zip(rows, expected) { #expect(row.hasPrefix(start)) }
    }

    @Test func `the README lists the stages in the same order`() throws {
        let rows = lines(of: try repositoryText("README.md")).filter {
            $0.hasPrefix("| ") && $0.dropFirst(2).first!.isNumber
        }
        let told = rows.map { row in String(row.split(separator: "|")[1].filter(\.isLetter)) }
        #expect(told == Stage.allCases.map(\.rawValue))
        for (row, stage) in zip(rows, Stage.allCases) {
            let statuses = Set(DocumentedRefusals.all.filter { $0.1.stage == stage }.map(\.1.status))
            #expect(Set(row.split { !$0.isNumber }.compactMap { Int($0) }.filter { $0 >= 400 }) == statuses, "\(stage)")
        }
    }

    @Test func `each refusal stands under its stage`() {
        for (name, refusal) in DocumentedRefusals.all {
            let row = DocumentedRefusals.row(of: refusal)
            let isThere = section(refusal.stage.rawValue).contains { $0.hasPrefix(row) }
            #expect(isThere, "\(name) is missing under \(refusal.stage): \(row)")
        }
    }

    @Test func `no row tells of a refusal that does not exist`() {
        let known = DocumentedRefusals.all.map { (stage: $0.1.stage.rawValue, row: DocumentedRefusals.row(of: $0.1)) }
        for heading in headings {
            for line in section(heading) where line.hasPrefix("| ") && line.dropFirst(2).first?.isNumber == true {
                #expect(known.contains { $0.stage == heading && line.hasPrefix($0.row) }, "under \(heading): \(line)")
            }
        }
    }

    @Test func `the statuses of each stage stand in the table at the top`() {
        for stage in Stage.allCases {
            let statuses = Set(DocumentedRefusals.all.filter { $0.1.stage == stage }.map(\.1.status))
            let row = lines(of: page).first { $0.contains("[\(stage)](#\(stage))") } ?? ""
            let told = Set(row.split { !$0.isNumber }.compactMap { Int($0) }.filter { $0 >= 400 })
            #expect(told == statuses, "\(stage)")
        }
    }

    @Test func `the reasons of invalid tokens are told`() {
        let text = section("authenticate").joined(separator: "\n")
        for reason in DocumentedRefusals.invalidTokenReasons {
            #expect(text.contains("`\(reason.rawValue)`"), "\(reason)")
        }
    }

    @Test func `this test knows every refusal of the table`() {
        let declared = lines(of: source).compactMap { line -> String? in
            for start in ["    package static let ", "    package static func "] where line.hasPrefix(start) {
                let name = line.dropFirst(start.count).prefix { $0.isLetter }
                return name.isEmpty ? nil : String(name)
            }
            return nil
        }
        #expect(declared == DocumentedRefusals.all.map(\.0))
    }

    // MARK: The page

    private var headings: [String] {
        lines(of: page).filter { $0.hasPrefix("## ") }.map { String($0.dropFirst(3)) }
    }

    private func section(_ heading: String) -> [Substring] {
        let rest = lines(of: page).drop { $0 != "## \(heading)" }.dropFirst()
        return Array(rest.prefix { !$0.hasPrefix("## ") })
    }

    private func lines(of text: String) -> [Substring] { text.split(separator: "\n") }
}

@Suite struct `The page on errors` {
    let page: String

    init() throws { page = try repositoryText("docs/errors.md") }

    @Test func `it has a row for every code`() {
        for code in ErrorCode.allCases { #expect(page.contains("\n| `\(code.rawValue)` | "), "\(code.rawValue)") }
    }

    @Test func `the row of a code names the statuses that come with it`() {
        for code in ErrorCode.allCases {
            let row = page.split(separator: "\n").first { $0.hasPrefix("| `\(code.rawValue)` | ") } ?? ""
            let statuses = Set(DocumentedRefusals.all.filter { $0.1.code == code }.map(\.1.status))
            let cells = row.split(separator: "|")
            let told = Set((cells.count > 1 ? cells[1] : "").split { !$0.isNumber }.compactMap { Int($0) })
            #expect(told == statuses, "\(code.rawValue)")
        }
    }

    @Test func `the row of a Proxy-Status error names the statuses that come with it`() {
        for error in ProxyError.allCases {
            let row = page.split(separator: "\n").first { $0.hasPrefix("| `\(error.rawValue)` | ") } ?? ""
            let statuses = Set(DocumentedRefusals.all.filter { $0.1.proxyError == error }.map(\.1.status))
            let cells = row.split(separator: "|")
            let told = Set((cells.count > 1 ? cells[1] : "").split { !$0.isNumber }.compactMap { Int($0) })
            #expect(told == statuses, "\(error.rawValue)")
        }
    }

    @Test func `it has every reason`() {
        for reason in Reason.allCases { #expect(page.contains("| `\(reason.rawValue)` | "), "\(reason.rawValue)") }
    }
}

private enum DocumentedRefusals {
    /// In the order of Refusal.swift.
    static let all: [(String, Refusal)] = [
        ("overloaded", .overloaded),
        ("tooManyConnections", .tooManyConnections),
        ("malformed", .malformed),
        ("ambiguousPath", .ambiguousPath),
        ("misdescribed", .misdescribed),
        ("headTimeout", .headTimeout),
        ("bodyTooLarge", .bodyTooLarge),
        ("targetTooLong", .targetTooLong),
        ("expectationFailed", .expectationFailed),
        ("misdirected", .misdirected),
        ("headTooLarge", .headTooLarge),
        ("methodNotSupported", .methodNotSupported),
        ("codingNotSupported", .codingNotSupported),
        ("versionNotSupported", .versionNotSupported),
        ("addressBlocked", .addressBlocked),
        ("addressRateLimited", .addressRateLimited),
        ("noRoute", .noRoute),
        ("methodNotAllowed", .methodNotAllowed),
        ("lockedDown", .lockedDown),
        ("addressRateLimitedOnRoute", .addressRateLimitedOnRoute),
        ("missingToken", .missingToken),
        ("tokenExpired", .tokenExpired),
        ("tokenRevoked", .tokenRevoked),
        ("tokenTooLarge", .tokenTooLarge),
        ("malformedCredentials", .malformedCredentials),
        ("invalidToken", .invalidToken(.invalidSignature)),
        ("keysUnavailable", .keysUnavailable),
        ("introspectionUnavailable", .introspectionUnavailable),
        ("missingClaim", .missingClaim),
        ("missingRole", .missingRole),
        ("missingScope", .missingScope),
        ("loginTooWeak", .loginTooWeak),
        ("foreignOrigin", .foreignOrigin),
        ("identityRateLimited", .identityRateLimited),
        ("routeRateLimited", .routeRateLimited),
        ("tooManyGuesses", .tooManyGuesses),
        ("accountLocked", .accountLocked),
        ("challengeRequired", .challengeRequired),
        ("challengeUnchecked", .challengeUnchecked),
        ("ambiguousAccount", .ambiguousAccount),
        ("unreadableAccount", .unreadableAccount),
        ("guessesUncounted", .guessesUncounted),
        ("malformedHandshake", .malformedHandshake),
        ("websocketVersion", .websocketVersion),
        ("disguisedField", .disguisedField),
        ("upgradeNotAllowed", .upgradeNotAllowed),
        ("shortOfMemory", .shortOfMemory),
        ("upstreamUnreachable", .upstreamUnreachable),
        ("circuitOpen", .circuitOpen),
        ("connectTimeout", .connectTimeout),
        ("upstreamUntrusted", .upstreamUntrusted),
        ("upstreamDistrusts", .upstreamDistrusts),
        ("upstreamHandshakeFailed", .upstreamHandshakeFailed),
        ("bodyTimeout", .bodyTimeout),
        ("malformedBody", .malformedBody),
        ("upstreamFailed", .upstreamFailed),
        ("badResponse", .badResponse),
        ("responseTimeout", .responseTimeout),
    ]

    static let invalidTokenReasons: [Reason] = [
        .invalidToken, .invalidSignature, .algNotAllowed, .unknownKid, .notYetValid, .wrongIssuer, .wrongAudience,
        .missingClaim, .tokenInactive,
    ]

    /// How the row begins. The reason of an invalid token differs from case to case and stands below the table.
    static func row(of refusal: Refusal) -> String {
        var reason = refusal.reason.map { "`\($0.rawValue)`" } ?? "–"
        if refusal == .invalidToken(.invalidSignature) { reason = "see below" }
        return "| \(refusal.status) | `\(refusal.code.rawValue)` | \(refusal.title) | \(reason) | "
    }
}

/// A file of the repository, found from this source file.
func repositoryText(_ name: String, from here: String = #filePath) throws -> String {
    let root = here.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    let file = try #require(fopen("\(root)/\(name)", "r"), "cannot open \(name)")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}
