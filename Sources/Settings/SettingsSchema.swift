private import Wire

extension Reference {
    /// docs/gateway.schema.json: a JSON Schema (draft 7, which YAML editors understand best). It helps while typing;
    /// what is right is decided by `gateway check`. A test compares the file with this text.
    package static func schema() -> String {
        guard case .object(let members) = schema(of: .root) else { preconditionFailure("the root is a section") }
        let head: [(String, JSON)] = [
            ("$schema", .string("http://json-schema.org/draft-07/schema#")), ("title", .string("gateway.conf")),
        ]
        return JSON.object(head + members).text() + "\n"
    }

    private static func schema(of shape: Shape) -> JSON {
        switch shape {
        case .value(let row):
            var members: [(String, JSON)] = [("description", .string(row.about.replacing("`", with: "")))]
            members += schema(of: row.kind)
            switch row.fallback {
            case .value(let text): members.append(("default", literal(text, row.kind)))
            case .items(let texts):
                members.append(("default", .array(texts.map { literal($0, row.kind.item ?? row.kind) })))
            case .required, .absent: break
            }
            return .object(members)
        case .section(let row, let children):
            // `login:` with everything below it commented out is null to an editor. The root and items are not.
            let isOptional = row.map { !$0.path.hasSuffix("[]") } ?? false
            var members = description(row)
            members.append(
                ("type", isOptional ? .array([.string("object"), .string("null")]) : .string("object")))
            members.append(("additionalProperties", .bool(false)))
            let required = children.filter { isRequired($0.shape) }.map { JSON.string($0.key) }
            if !required.isEmpty { members.append(("required", .array(required))) }
            members.append(("properties", .object(children.map { ($0.key, schema(of: $0.shape)) })))
            return .object(members)
        case .map(let row, _, let inner):
            return .object(
                description(row) + [("type", .string("object")), ("additionalProperties", schema(of: inner))])
        case .list(let row, let inner):
            return .object(description(row) + [("type", .string("array")), ("items", schema(of: inner))])
        }
    }

    private static func description(_ row: SectionRow?) -> [(String, JSON)] {
        row.map { [("description", .string($0.about.replacing("`", with: "")))] } ?? []
    }

    private static func isRequired(_ shape: Shape) -> Bool {
        switch shape {
        case .value(let row): if case .required = row.fallback { true } else { false }
        case .map(let row, _, _), .list(let row, _): ["upstreams", "routes"].contains(row.path)
        case .section: false
        }
    }

    private static func schema(of kind: SettingKind) -> [(String, JSON)] {
        func string(_ pattern: String) -> [(String, JSON)] {
            [("type", .string("string")), ("pattern", .string(pattern))]
        }
        switch kind {
        case .integer(let range):
            return [
                ("type", .string("integer")), ("minimum", .number(range.lowerBound)),
                ("maximum", .number(range.upperBound)),
            ]
        case .integerOrAuto(let range):
            return [
                ("anyOf", .array([.object([("const", .string("auto"))]), .object(schema(of: .integer(range)))]))
            ]
        case .size:
            return [
                ("type", .array([.string("integer"), .string("string")])),
                ("pattern", .string("^(0|[1-9][0-9]*)(KiB|MiB|GiB)?$")),
            ]
        case .duration, .boundedDuration:
            return string("^(0|[1-9][0-9]*)(ms|s|m|h|d)$")
        case .rate:
            // `off` is a boolean to editors that read YAML 1.1.
            return [
                (
                    "anyOf",
                    .array([
                        .object(string("^off$|^[1-9][0-9]*/(s|min|h|d)$")), .object([("const", .bool(false))]),
                    ])
                )
            ]
        case .boolean:
            return [("type", .string("boolean"))]
        case .choice(let words):
            return [("enum", .array(words.map(JSON.string)))]
        case .listener:
            return string(":[0-9]{1,5}$")
        case .listenerOrOff:
            // `off` is a boolean to editors that read YAML 1.1.
            return [("anyOf", .array([.object(string("^off$|:[0-9]{1,5}$")), .object([("const", .bool(false))])]))]
        case .server, .redisAddress:
            return string("^unix:/|:[0-9]{1,5}$")
        case .network:
            return string("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$")
        case .routePath, .target:
            return string("^/")
        case .endpoint:
            return string("^[A-Z]+ /")
        case .method:
            return string("^[A-Z]+$")
        case .origin:
            return string("^(\\*|https?://.+)$")
        case .webAddress, .capability:
            return string("^https?://")
        case .logTarget:
            return [("type", .array([.string("string"), .string("boolean")]))]
        case .secret(let minimum):
            return [("type", .string("string")), ("minLength", .number(minimum))]
        case .text:
            // The row decides: `verified: true` is the text "true".
            return [("type", .array(["string", "number", "boolean"].map(JSON.string)))]
        case .file, .word, .hostPattern, .claimSource:
            return [("type", .string("string"))]
        case .list(let item):
            return [("type", .string("array")), ("items", .object(schema(of: item)))]
        case .listOrSingle(let item):
            return [("anyOf", .array([.object(schema(of: item)), .object(schema(of: .list(item)))]))]
        }
    }

    private static func literal(_ text: String, _ kind: SettingKind) -> JSON {
        switch kind {
        case .integer, .integerOrAuto, .size: Int(text).map(JSON.number) ?? .string(text)
        case .boolean: .bool(text == "true")
        default: .string(text)
        }
    }
}

/// JSON with members in the order they were given, so that the committed file changes only where the rows do.
private indirect enum JSON {
    case object([(String, JSON)])
    case array([JSON])
    case string(String)
    case number(Int)
    case bool(Bool)

    func text(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .object(let members) where members.isEmpty:
            return "{}"
        case .object(let members):
            // What says little takes one line: nobody should have to scroll for it.
            let line = "{\(members.map { "\(JSON.quoted($0.0)): \($0.1.text())" }.joined(separator: ", "))}"
            if members.allSatisfy({ $0.1.isFlat }), line.utf8.count <= 100 { return line }
            let lines = members.map { "\(inner)\(JSON.quoted($0.0)): \($0.1.text(indent: inner))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
        case .array(let items):
            if isFlat { return "[\(items.map { $0.text() }.joined(separator: ", "))]" }
            return "[\n\(items.map { inner + $0.text(indent: inner) }.joined(separator: ",\n"))\n\(indent)]"
        case .string(let text): return JSON.quoted(text)
        case .number(let number): return String(number)
        case .bool(let flag): return String(flag)
        }
    }

    private var isScalar: Bool {
        switch self {
        case .string, .number, .bool: true
        case .object, .array: false
        }
    }

    private var isFlat: Bool {
        if case .array(let items) = self { return items.allSatisfy(\.isScalar) }
        return isScalar
    }

    /// The rows hold printable text only.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
