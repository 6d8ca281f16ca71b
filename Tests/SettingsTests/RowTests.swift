import Testing
import Wire

@testable import Settings

@Suite struct `The rows of the settings` {
    @Test func `each have one sentence that says what they are`() {
        for row in SettingRows.all {
            #expect(row.about.hasSuffix(".") && row.about.count > 10, "\(row.path)")
            #expect(row.about.first?.isUppercase == true || row.about.hasPrefix("`"), "\(row.path)")
        }
        for section in SettingRows.sections { #expect(section.about.hasSuffix("."), "\(section.path)") }
    }

    @Test func `each have a default that their own kind accepts`() throws {
        for row in SettingRows.all {
            switch row.fallback {
            case .value(let text): #expect(throws: Never.self, "\(row.path)") { try row.kind.parse(text) }
            case .items(let texts):
                for text in texts { #expect(throws: Never.self, "\(row.path)") { try row.kind.parse(text) } }
            case .required, .absent: break
            }
        }
    }

    @Test func `have paths and variables of their own`() {
        let paths = SettingRows.all.map(\.path)
        #expect(Set(paths).count == paths.count)
        let variables = SettingRows.all.flatMap { Reference.variables(of: $0) } + EnvironmentOnly.variables
        #expect(Set(variables).count == variables.count)
    }

    @Test func `stand below sections that have a description`() {
        let described = SettingRows.sections.map(\.path)
        for row in SettingRows.all {
            guard let dot = row.path.lastIndex(of: ".") else { continue }
            #expect(described.contains(String(row.path[..<dot])), "\(row.path)")
        }
    }

    @Test func `fill every value of a Configuration, and each fills one`() throws {
        let plain = leaves(try #require(ExampleDocument().load().configuration))
        let secured = leaves(try #require(ExampleDocument().load(ExampleDocument.securing).configuration))
        let captcha = leaves(try #require(ExampleDocument().load(ExampleDocument.captchaVariables()).configuration))
        var changed: Set<String> = []
        var known = Set(plain.keys)
        for row in SettingRows.all {
            var document = ExampleDocument()
            document.set(row)
            let base =
                ExampleDocument.needsSecuring(row) ? secured : ExampleDocument.needsCaptcha(row) ? captcha : plain
            let result = document.load()
            let configuration = try #require(
                result.configuration, "\(row.path): \(result.diagnostics) in \(document.yaml)")
            let now = leaves(configuration)
            let differing = Set(now.keys).union(base.keys).filter { now[$0] != base[$0] }
            #expect(!differing.isEmpty, "nothing reads \(row.path)")
            changed.formUnion(differing)
            known.formUnion(now.keys)
        }
        // How many entries lists and maps have, and how the user called them, is no row's matter.
        let structure: Set = [
            ".routes", ".login.rules", ".upstreams", ".upstreams.name", ".tokens.keys", ".identityHeaders",
            ".identityHeaders.name",
            ".tls.certificates", ".tls.certificates.section", ".feeds", ".feeds.section",
        ]
        #expect(known.subtracting(changed) == structure)
    }

    @Test func `are overridden by their variables`() throws {
        let plain = leaves(try #require(ExampleDocument().load().configuration))
        let secured = leaves(try #require(ExampleDocument().load(ExampleDocument.securing).configuration))
        let captcha = leaves(try #require(ExampleDocument().load(ExampleDocument.captchaVariables()).configuration))
        for row in SettingRows.all where row.environmentName != nil {
            let path = ExampleDocument.concrete(row.path)
            let name = "GATEWAY_" + EnvironmentSettings.fold(path.replacing(".", with: "__"))
            let text = row.example.filter { !"[]\"".contains($0) || row.kind.item == nil }
            let value = ["listen", "tls.listen"].contains(row.path) ? "127.0.0.1:1, [::1]:2" : text
            let also = ExampleDocument.companions(row)
            let base =
                ExampleDocument.needsSecuring(row) ? secured : ExampleDocument.needsCaptcha(row) ? captcha : plain
            let result = ExampleDocument().load(also.merging([name: value]) { _, last in last })
            let configuration = try #require(result.configuration, "\(name): \(result.diagnostics)")
            #expect(leaves(configuration) != base, "nothing reads \(name)")
        }
    }

    @Test(arguments: [
        ("docs/configuration.md", Reference.markdown()), ("docs/gateway.schema.json", Reference.schema()),
    ])
    func `are what the committed reference says`(_ name: String, _ text: String) throws {
        let committed = String(decoding: try repositoryFile(name), as: UTF8.self)
        #expect(committed == text, "print it anew: gateway reference --markdown, gateway reference --schema")
    }

    @Test func `are told by the reference of the command line`() {
        #expect(
            Reference.text(topic: "login.window") == """
                login.window
                    How long failures are remembered, from the first one on.
                    duration, 1s to 366d; default: 1d
                    GATEWAY_LOGIN__WINDOW, GATEWAY_FAILED_LOGIN_WINDOW_SECONDS

                """)
        #expect(Reference.text(topic: "JWT_SECRET").hasPrefix("JWT_SECRET, JWT_SECRET_FILE\n"))
        #expect(
            Reference.text(topic: "login.widnow")
                == "There is no setting \"login.widnow\". Did you mean \"login.window\"?\n")
        #expect(Reference.knows("login.window") && Reference.knows("jwt_secret") && !Reference.knows("login.widnow"))
        for row in SettingRows.all { #expect(Reference.text().contains("\n\(row.path)\n") || row.path == "listen") }
    }
}
