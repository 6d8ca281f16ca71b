import Testing
import Wire

@testable import Settings

/// About lists of blocked addresses.
@Suite struct `A mistake about feeds` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by a file and a URL`() throws {
        let text =
            minimal + "feeds: [{name: own, file: own.txt}, {name: drop, url: 'https://a.example/l.txt', interval: 12h, "
            + "action: observe, may_shrink: true}]"
        let result = load(text)
        #expect(result.diagnostics.isEmpty)
        let feeds = try #require(result.configuration?.feeds)
        #expect(feeds.map(\.name) == ["own", "drop"])
        #expect(feeds[1].source == .url(WebAddress("https://a.example/l.txt")!))
        #expect(feeds[1].interval == .seconds(12 * 3_600) && feeds[1].timeout == .seconds(30))
        #expect(feeds.map(\.action) == [.block, .observe])
        #expect(feeds.map(\.mayShrink) == [false, true])
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "Neither", minimal + "feeds: [{name: drop}]",
            says: """
                gateway.conf:3:16: error: the feed says nowhere what is in it
                    feeds: [{name: drop}]
                                   ^~~~
                    add "file" or "url"
                """),
        Mistake(
            "Both", minimal + "feeds: [{name: drop, file: /a, url: 'https://a.example/'}]",
            says: """
                gateway.conf:3:37: error: a feed is either a file or fetched
                    feeds: [{name: drop, file: /a, url: <redacted>}]
                                                        ^~~~~~~~~~
                    remove "file" or "url"
                """),
        Mistake(
            "Twice", minimal + "feeds: [{name: a, file: /a}, {name: a, file: /b}]",
            says: """
                gateway.conf:3:37: error: the feed "a" stands twice
                    feeds: [{name: a, file: /a}, {name: a, file: /b}]
                                                        ^
                    give each feed a name of its own
                """),
        Mistake(
            "An interval of a file", minimal + "feeds: [{name: a, file: /a, interval: 1h}]",
            says: """
                gateway.conf:3:39: error: nothing is fetched for this feed, so "interval" would do nothing
                    feeds: [{name: a, file: /a, interval: 1h}]
                                                          ^~
                    set "url", or remove it; a file is read again whenever it changes
                """),
        Mistake(
            "In clear text", minimal + "feeds: [{name: a, url: 'http://a.example/'}]",
            says: """
                gateway.conf:3:24: error: whoever sits between here and a.example could say whom to block
                    feeds: [{name: a, url: <redacted>}]
                                           ^~~~~~~~~~
                    write https://, or set "allow_http" to true
                """),
    ]
}
