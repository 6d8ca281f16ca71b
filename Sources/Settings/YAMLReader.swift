internal import CYAML

/// Reads one YAML document through libyaml's events, which give every value its line. Only what a configuration needs
/// is accepted: mappings, sequences and scalars. Anchors, aliases, tags and merge keys would let a value be written far
/// from where it acts, so they are problems, as are a second document and a key that stands twice.
struct YAMLReader {
    /// Levels of nesting; the deepest setting uses five.
    static let deepest = 16
    /// Bytes of a file.
    static let largest = 1 << 20

    private(set) var problems: [YAMLProblem] = []
    private var events: EventSource

    /// `text` is the whole file, at most `largest` bytes. The root is nil when the form is broken beyond use; an empty
    /// file gives an empty mapping.
    static func read(_ text: String) -> (root: YAMLNode?, problems: [YAMLProblem]) {
        let tabs = tabsInIndentation(text)
        guard tabs.isEmpty else { return (nil, tabs) }
        var reader = YAMLReader(events: EventSource(Array(text.utf8)))
        do throws(Broken) {
            let root = try reader.readStream()
            return (root, reader.problems)
        } catch {
            return (nil, reader.problems + [error.problem])
        }
    }

    private init(events: EventSource) { self.events = events }

    /// YAML forbids them, and libyaml's own words ("cannot start any token") help nobody.
    private static func tabsInIndentation(_ text: String) -> [YAMLProblem] {
        let source = SourceText(name: "", text: text)
        return (1...source.lineCount).compactMap { number in
            let line = source.line(number) ?? ""
            let indentation = line.unicodeScalars.prefix { $0 == " " || $0 == "\t" }
            guard let tab = Array(indentation).firstIndex(of: "\t"), indentation.count < line.unicodeScalars.count
            else { return nil }
            return YAMLProblem(
                mark: Mark(line: number, column: tab + 1), message: "a tab in the indentation",
                hint: "YAML is indented with spaces")
        }
    }

    private mutating func readStream() throws(Broken) -> YAMLNode {
        var root: YAMLNode?
        while true {
            let event = try events.next()
            switch event.kind {
            case .streamEnd:
                return root ?? YAMLNode(content: .mapping([]), mark: event.mark)
            case .documentStart:
                if let root {
                    problems.append(
                        YAMLProblem(
                            mark: event.mark, message: "a second document begins here",
                            hint: "gateway.conf is one document: remove the line"))
                    return root
                }
                let node = try readNode(try events.next(), depth: 1)
                root = node.isEmpty ? YAMLNode(content: .mapping([]), mark: node.mark) : node
            default:
                break
            }
        }
    }

    private mutating func readNode(_ event: Event, depth: Int) throws(Broken) -> YAMLNode {
        guard depth <= Self.deepest else {
            throw Broken(
                problem: YAMLProblem(
                    mark: event.mark, message: "nested more than \(Self.deepest) levels deep", hint: nil))
        }
        if event.hasAnchor {
            problems.append(
                YAMLProblem(
                    mark: event.mark, message: "an anchor is not allowed",
                    hint: "write the value out where it is needed; a value that begins with & needs quotes"))
        }
        if event.hasTag {
            problems.append(
                YAMLProblem(
                    mark: event.mark, message: "a tag is not allowed",
                    hint: "leave it out: the setting decides the type of its value"))
        }
        switch event.kind {
        case .scalar(let text, let plain):
            return YAMLNode(content: .scalar(text, plain: plain), mark: event.mark)
        case .alias:
            problems.append(
                YAMLProblem(
                    mark: event.mark, message: "an alias is not allowed",
                    hint: "write the value out; a value that begins with * needs quotes"))
            return YAMLNode(content: .invalid, mark: event.mark)
        case .sequenceStart:
            var items: [YAMLNode] = []
            while true {
                let next = try events.next()
                if case .sequenceEnd = next.kind {
                    return YAMLNode(content: .sequence(items), mark: event.mark.extended(to: next.mark))
                }
                items.append(try readNode(next, depth: depth + 1))
            }
        case .mappingStart:
            return try readMapping(from: event, depth: depth)
        case .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd, .other:
            throw Broken(problem: YAMLProblem(mark: event.mark, message: "a value is missing here", hint: nil))
        }
    }

    private mutating func readMapping(from start: Event, depth: Int) throws(Broken) -> YAMLNode {
        var pairs: [YAMLNode.Pair] = []
        var seen: [String: Mark] = [:]
        while true {
            let next = try events.next()
            if case .mappingEnd = next.kind {
                return YAMLNode(content: .mapping(pairs), mark: start.mark.extended(to: next.mark))
            }
            let keyNode = try readNode(next, depth: depth + 1)
            let value = try readNode(try events.next(), depth: depth + 1)
            guard case .scalar(let key, let plain) = keyNode.content else {
                problems.append(
                    YAMLProblem(
                        mark: keyNode.mark, message: "a key must be a single word",
                        hint: "quote it if it begins with one of [ { * & !", unread: [keyNode.mark, value.mark]))
                continue
            }
            if key == "<<", plain {
                problems.append(
                    YAMLProblem(
                        mark: keyNode.mark, message: "the merge key \"<<\" is not allowed",
                        hint: "write the values out where they are needed", unread: [value.mark]))
                continue
            }
            if let first = seen[key] {
                problems.append(
                    YAMLProblem(
                        mark: keyNode.mark, message: "the key \"\(key)\" stands twice, first on line \(first.line)",
                        hint: "keep one of them"))
            }
            seen[key] = seen[key] ?? keyNode.mark
            pairs.append(YAMLNode.Pair(key: key, keyMark: keyNode.mark, value: value))
        }
    }
}

/// The form is broken: nothing behind this point can be read.
private struct Broken: Error {
    var problem: YAMLProblem
}

/// One event of libyaml, copied, so that no pointer into the parser is kept.
private struct Event {
    enum Kind {
        case streamEnd, documentStart, documentEnd
        case scalar(String, plain: Bool)
        case alias
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
        case other
    }
    var kind: Kind
    /// Its name is not kept: of `secret: &hunter2` it would be the secret.
    var hasAnchor = false
    var hasTag = false
    var mark: Mark
}

extension Mark {
    fileprivate init(_ start: yaml_mark_t, _ end: yaml_mark_t) {
        self.init(
            line: Int(start.line) + 1, column: Int(start.column) + 1,
            endLine: Int(end.line) + 1, endColumn: Int(end.column) + 1)
    }

    fileprivate func extended(to end: Mark) -> Mark {
        Mark(line: line, column: column, endLine: end.endLine, endColumn: end.endColumn)
    }
}

/// Owns the parser and the bytes it reads; both are freed in `deinit`.
private final class EventSource {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>

    init(_ bytes: [UInt8]) {
        parser = .allocate(capacity: 1)
        // An empty buffer may have no address, and libyaml asserts that there is one.
        input = .allocate(capacity: max(1, bytes.count))
        _ = input.update(from: bytes)
        guard yaml_parser_initialize(parser) == 1 else { fatalError("no memory for a YAML parser") }
        // Said, not guessed: a byte order mark must not switch the file to UTF-16.
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress!, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    func next() throws(Broken) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw Broken(problem: problem()) }
        defer { yaml_event_delete(&event) }
        return copy(event)
    }

    private func copy(_ event: yaml_event_t) -> Event {
        let mark = Mark(event.start_mark, event.end_mark)
        switch event.type {
        case YAML_STREAM_END_EVENT:
            return Event(kind: .streamEnd, mark: mark)
        case YAML_DOCUMENT_START_EVENT:
            return Event(kind: .documentStart, mark: mark)
        case YAML_DOCUMENT_END_EVENT:
            return Event(kind: .documentEnd, mark: mark)
        case YAML_ALIAS_EVENT:
            return Event(kind: .alias, mark: mark)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let value = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            return Event(
                kind: .scalar(value, plain: scalar.style == YAML_PLAIN_SCALAR_STYLE), hasAnchor: scalar.anchor != nil,
                hasTag: scalar.tag != nil, mark: mark)
        case YAML_SEQUENCE_START_EVENT:
            let sequence = event.data.sequence_start
            return Event(
                kind: .sequenceStart, hasAnchor: sequence.anchor != nil, hasTag: sequence.tag != nil, mark: mark)
        case YAML_SEQUENCE_END_EVENT:
            return Event(kind: .sequenceEnd, mark: mark)
        case YAML_MAPPING_START_EVENT:
            let mapping = event.data.mapping_start
            return Event(kind: .mappingStart, hasAnchor: mapping.anchor != nil, hasTag: mapping.tag != nil, mark: mark)
        case YAML_MAPPING_END_EVENT:
            return Event(kind: .mappingEnd, mark: mark)
        default:
            return Event(kind: .other, mark: mark)
        }
    }

    /// libyaml's complaint. Its reader (control characters) knows only the byte offset.
    private func problem() -> YAMLProblem {
        let said = parser.pointee.problem.map { String(cString: $0) } ?? "it cannot be read"
        if parser.pointee.error == YAML_READER_ERROR {
            let before = input[..<min(Int(parser.pointee.problem_offset), input.count)]
            let line = before.count { $0 == 0x0a } + 1
            let start = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
            let column = String(decoding: before[start...], as: UTF8.self).unicodeScalars.count + 1
            return YAMLProblem(mark: Mark(line: line, column: column), message: "not YAML: \(said)", hint: nil)
        }
        var message = "not YAML: \(said)"
        if let context = parser.pointee.context {
            message += " (\(String(cString: context)) on line \(parser.pointee.context_mark.line + 1))"
        }
        let at = parser.pointee.problem_mark
        return YAMLProblem(
            mark: Mark(line: Int(at.line) + 1, column: Int(at.column) + 1), message: message,
            hint: Self.hint(for: said))
    }

    private static func hint(for said: String) -> String? {
        switch said {
        case "mapping values are not allowed in this context":
            "a value that contains \": \" needs quotes; look also for a wrong indentation"
        case "found character that cannot start any token":
            "a value that begins with @, ` or % needs quotes"
        case "did not find expected key", "did not find expected '-' indicator":
            "look at the indentation of this line and the one above"
        case "could not find expected ':'":
            "a key is followed by a colon and a space"
        case "did not find expected ',' or ']'", "did not find expected ',' or '}'":
            "a bracket is not closed, or a comma is missing"
        case "found unexpected end of stream":
            "a quote is not closed"
        default:
            nil
        }
    }
}
