/// A value of the file with its place. What a scalar means is decided by the setting's row, never by YAML 1.1: here
/// `no`, `010` and `12:30` are only text.
struct YAMLNode: Sendable {
    indirect enum Content: Sendable {
        /// `plain`: written without quotes or block marks.
        case scalar(String, plain: Bool)
        case sequence([YAMLNode])
        case mapping([Pair])
        /// An alias, reported already.
        case invalid
    }

    struct Pair: Sendable {
        var key: String
        var keyMark: Mark
        var value: YAMLNode
    }

    var content: Content
    var mark: Mark

    /// `key:` with nothing behind it.
    var isEmpty: Bool {
        if case .scalar("", plain: true) = content { true } else { false }
    }

    /// How the value looks, for "… but this is a list".
    var looks: String {
        switch content {
        case .scalar: "a single value"
        case .sequence: "a list"
        case .mapping: "a section with keys of its own"
        case .invalid: "an alias"
        }
    }
}

/// What is wrong with the form of the file, before any setting is looked at.
struct YAMLProblem: Sendable {
    var mark: Mark
    var message: String
    var hint: String?
    /// What is not in the tree, so that nobody else can say whether it holds a secret.
    var unread: [Mark] = []
}
