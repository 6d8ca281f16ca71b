package import Wire

extension Configuration {
    /// A list of addresses and networks that are blocked as long as it names them.
    package struct Feed: Hashable, Sendable {
        package enum Source: Hashable, Sendable {
            case file(path: String)
            case url(WebAddress)
        }

        package enum Action: String, CaseIterable, Sendable {
            case block
            /// A dry run: who would be refused is told.
            case observe
        }

        package static let most = 16

        package var name: String
        package var source: Source
        package var action = Action.block
        /// A list of less than half the entries is taken.
        package var mayShrink = false
        /// From one fetch of the URL to the next.
        package var interval = Interval.seconds(3_600)
        /// For the whole of one answer.
        package var timeout = Interval.seconds(30)
        /// Authorities in PEM that the certificate of the URL must be from; nil: those of this machine.
        package var authoritiesPath: String?
        /// Plain HTTP is accepted.
        package var allowsHTTP = false
        /// The path of its settings, for findings about their files: `feeds[0]`.
        package var section: String

        package init(_ name: String, _ source: Source, section: String) {
            self.name = name
            self.source = source
            self.section = section
        }
    }
}
