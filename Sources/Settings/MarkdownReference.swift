extension Reference {
    /// docs/configuration.md. A test compares the file with this text.
    package static func markdown() -> String {
        var text = introduction
        text += "\n## Top level\n\n"
        text += table(SettingRows.all.filter { !$0.path.contains(".") && !$0.path.contains("[") })
        for section in SettingRows.sections {
            let rows = SettingRows.all.filter { parent(of: $0.path) == section.path }
            if rows.isEmpty { continue }
            text += "\n## `\(section.path)`\n\n\(about(section))\n\n"
            text += table(rows)
        }
        text += environment
        return text
    }

    /// The section's sentence, behind that of the map or list it is an entry of.
    private static func about(_ section: SectionRow) -> String {
        let outer = SettingRows.sections.first { section.path == $0.path + ".*" || section.path == $0.path + "[]" }
        var sentences = [outer?.about, section.about].compactMap { $0 }
        if !section.fallback.isEmpty {
            let items = section.fallback.map { "`\($0.name): \($0.value)`" }
            sentences.append("Default: \(items.joined(separator: ", ")).")
        }
        return sentences.joined(separator: " ")
    }

    private static func parent(of path: String) -> String {
        path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
    }

    private static func table(_ rows: [SettingRow]) -> String {
        var text = "| Setting | What it is | Value | Default | Variables |\n|---|---|---|---|---|\n"
        for row in rows {
            let parent = parent(of: row.path)
            let key = parent.isEmpty ? row.path : String(row.path.dropFirst(parent.count + 1))
            var about = row.about
            if row.reload == .restart { about += " *A new value needs a restart.*" }
            var fallback = defaultPhrase(row)
            if fallback.hasPrefix("default: ") { fallback.removeFirst("default: ".count) }
            let variables = variables(of: row).map { "`\($0)`" }.joined(separator: " ")
            let cells = ["`\(key == "*" ? "<name>" : key)`", about, row.kind.phrase, fallback, variables]
            text += "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        return text
    }

    private static let introduction = """
        # Configuration

        This page is made from the settings' rows in `Sources/Settings`; `gateway reference --markdown` prints it, and a test
        fails when the two differ. `gateway check` reads a configuration and says what is wrong with it;
        `gateway check --effective` also shows every value in force and where it comes from.

        - **Sources.** The environment goes before the file, the file before the default. The file is `gateway.conf`, or what
          `--config` or `GATEWAY_CONFIG` names.
        - **Form.** YAML, one document, at most 1 MiB, without anchors, aliases, tags and merge keys. The setting decides what
          its value is: `no`, `010` and `12:30` are never turned into something else. `null` is not a value; leave the key out.
        - **Durations** are a whole number and one of `ms`, `s`, `m`, `h`, `d`. **Sizes** are bytes, or a number with `KiB`,
          `MiB`, `GiB`.
        - **Paths** that are relative start at the directory of `gateway.conf`.
        - **Variables** are `GATEWAY_` and the path of the setting in upper case, with `__` between its levels. In names of
          upstreams and headers `-` becomes `_`: `GATEWAY_UPSTREAMS__MY_API__KEEP_ALIVE`. Entries must exist in the file;
          routes and keys stand in the file only. Lists are written with commas. An empty variable counts as not set. A
          variable that begins with `GATEWAY_` and is none of ours is an error.
        - **Secrets** can be given in the file, by a variable, or, best, as a file: each has a setting that ends in `_file`.
          One line break at the end of such a file is not part of the secret (a warning says so). A secret file that every
          user of the machine can read is refused, unless `allow_world_readable_secrets` is set. Secrets are never shown, in
          errors either.
        - **Reload.** SIGHUP reads everything again. A file with errors changes nothing. Settings that need a restart say so.

        """

    private static var environment: String {
        var text = """

            ## Variables without a setting

            | Variable | What it is |
            |---|---|
            | `GATEWAY_CONFIG` | Path of the file, when `--config` is not given. |

            """
        for key in EnvironmentOnly.keys {
            text += "| `\(key.variable)`, `\(key.variable)_FILE` | \(key.about) |\n"
        }
        text += """

            These are refused, because what they ask for is not built yet and silence would be mistaken for protection:

            | Variable | Asks for | Accepted |
            |---|---|---|

            """
        for unbuilt in EnvironmentOnly.unbuilt {
            let name = unbuilt.name.hasSuffix("_") ? "`\(unbuilt.name)*`, other than those above" : "`\(unbuilt.name)`"
            text += "| \(name) | \(unbuilt.what) | \(unbuilt.harmless.map { "`\($0)`" } ?? "–") |\n"
        }
        return text
    }
}
