import Foundation
import Testing

@testable import Crypto
@testable import GatewayCore
@testable import Policy
@testable import Settings
@testable import Wire

/// What the keys are, in a directory of the test's own.
@Suite struct `The keys of assertions` {
    private let directory: String
    private let start = WallTime(seconds: 1_764_412_345)

    init() throws {
        directory = "\(NSTemporaryDirectory())/assertion-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    private var state: String { "\(directory)/state" }
    private var kept: String { "\(state)/assertion.pem" }

    private func assertion(
        _ algorithm: Configuration.Assertion.Algorithm? = nil, file: String? = nil
    ) -> Configuration.Assertion {
        var assertion = Configuration.Assertion(header: "X-Assertion", issuer: "edge", audience: "all")
        assertion.algorithm = algorithm
        assertion.keyPath = file
        return assertion
    }

    private func keyring(
        _ assertion: Configuration.Assertion, after last: AssertionKeyring? = nil, at second: Int = 0
    ) throws -> AssertionKeyring {
        let keyring = try AssertionKeyLoader.keyring(
            for: assertion, after: last, in: state, at: start + .seconds(second))
        // As the store does when it takes them into force.
        let made = Set(keyring.entries.filter { $0.origin == .made }.map(\.key.id))
        if assertion.keyPath == nil,
            try made != Set(AssertionKeyFile.read(kept, acceptsReadable: false).map(\.key.id))
        {
            #expect(AssertionKeyFile.write(keyring.entries, to: kept) == nil)
        }
        return keyring
    }

    private func write(_ keys: [[UInt8]?], mode: Int = 0o600) throws -> String {
        let path = "\(directory)/key.pem"
        try Data(keys.compactMap { $0 }.flatMap { $0 }).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func finding(_ work: () throws -> AssertionKeyring) -> String? {
        do {
            _ = try work()
            return nil
        } catch {
            return (error as? CertificateLoader.Finding).map { "\($0.setting): \($0.message)" }
        }
    }

    private func ids(_ keyring: AssertionKeyring) -> [String] { keyring.publicKeys.map(\.id) }

    private func clean() { try? FileManager.default.removeItem(atPath: directory) }

    // MARK: Made here

    @Test func `are made once and kept where nobody else reads`() throws {
        defer { clean() }
        let made = try keyring(assertion())
        #expect(made.entries.map(\.key.algorithm) == [.es256])
        let mode = try FileManager.default.attributesOfItem(atPath: kept)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try ids(keyring(assertion(), at: 100)) == ids(made))
        #expect(try FileManager.default.contentsOfDirectory(atPath: state) == ["assertion.pem"])
    }

    @Test func `go on after a restart where they were in a rotation`() throws {
        defer { clean() }
        var before = try keyring(assertion())
        before.add(try .make(.es256), .made, maximumAge: .seconds(300), at: start + .seconds(1000))
        #expect(AssertionKeyFile.write(before.entries, to: kept) == nil)
        let after = try keyring(assertion(), at: 1100)
        #expect(ids(after) == ids(before))
        #expect(after.entries.map(\.signsAt) == [start, start + .seconds(1302)])
        #expect(after.entries.map(\.publishedAt) == [start, start + .seconds(1000)])
        #expect(try ids(keyring(assertion(), at: 1302 + 660)) == [before.entries[1].key.id])
    }

    @Test func `of another algorithm follow those before`() throws {
        defer { clean() }
        let before = try keyring(assertion())
        let after = try keyring(assertion(.edDSA), after: before, at: 1000)
        #expect(after.entries.map(\.key.algorithm) == [.es256, .edDSA])
        #expect(after.current(at: start + .seconds(1000)).key.id == ids(before)[0])
        #expect(try ids(keyring(assertion(.edDSA), at: 1001)) == ids(after), "both were kept")
    }

    @Test func `that cannot be read are an error and stay as they are`() throws {
        defer { clean() }
        _ = try keyring(assertion())
        let good = try String(contentsOfFile: kept, encoding: .utf8)
        let end = "; restore the file, or remove it to have a new key made"
        for (text, says) in [
            ("", "no PEM block with a key or certificate was found"),
            (good.replacing("# published", with: "# "), "it does not say when its keys are used"),
            (good.replacing(", signs ", with: ", sings "), "it does not say when its keys are used"),
            (good.replacing("PRIVATE KEY", with: "PUBLIC KEY"), "the key cannot be decoded"),
            (String(good.dropLast(40)), "the key cannot be decoded"),
        ] {
            try text.write(toFile: kept, atomically: false, encoding: .utf8)
            let found = finding { try keyring(assertion()) }
            #expect(
                found == "state_dir: \(says)\(end)"
                    || found == "state_dir: no PEM block with a key or certificate was found\(end)", "\(found ?? "")")
            #expect(try String(contentsOfFile: kept, encoding: .utf8) == text)
        }
    }

    // MARK: Of a file

    @Test func `of a file sign with the first and publish the others`() throws {
        defer { clean() }
        let (a, b) = (try SigningKey.make(.edDSA), try SigningKey.make(.es256))
        let path = try write([a.pem, b.pem])
        let keyring = try keyring(assertion(file: path))
        #expect(keyring.current(at: start).key.id == a.id)
        #expect(ids(keyring) == [a.id, b.id])
        #expect(!FileManager.default.fileExists(atPath: kept), "nothing is made")
    }

    @Test func `of a file follow those that were made, and the other way round`() throws {
        defer { clean() }
        let made = try keyring(assertion())
        let a = try SigningKey.make(.es256)
        let path = try write([a.pem])
        let filed = try keyring(assertion(file: path), after: made, at: 1000)
        #expect(ids(filed) == ids(made) + [a.id])
        #expect(filed.waiting(at: start + .seconds(1000))?.key.id == a.id)
        let back = try keyring(assertion(), after: filed, at: 5000)
        #expect(back.waiting(at: start + .seconds(5000)) == nil, "it was published all the time")
        #expect(back.current(at: start + .seconds(5000)).key.id == ids(made)[0])
        let text = try String(contentsOfFile: kept, encoding: .utf8)
        #expect(text.components(separatedBy: "-----BEGIN PRIVATE KEY-----").count == 2, "the file's key is not copied")
    }

    @Test func `of a file are refused for what is wrong with them`() throws {
        defer { clean() }
        let key = try SigningKey.make(.es256)
        let readable = try write([key.pem], mode: 0o644)
        #expect(
            finding { try keyring(assertion(file: readable)) }
                == "assertion.key_file: the key can be read by every user of this machine")
        var accepting = assertion(file: readable)
        accepting.acceptsReadableKeys = true
        #expect(finding { try keyring(accepting) } == nil)
        let path = try write([key.pem])
        #expect(
            finding { try keyring(assertion(.edDSA, file: path)) }
                == "assertion.key_file: the key cannot be used with EdDSA")
        #expect(finding { try keyring(assertion(.es256, file: path)) } == nil)
        #expect(
            finding { try keyring(assertion(file: "\(directory)/not-there")) }
                == "assertion.key_file: No such file or directory")
    }
}
