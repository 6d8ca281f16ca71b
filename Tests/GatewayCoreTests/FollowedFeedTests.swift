import Crypto
import Glibc
import Policy
import Settings
import Testing
import Wire

@testable import GatewayCore

@Suite struct `A feed that is followed` {
    private let wall = WallTime(seconds: 1_795_262_400)

    private func feed(interval: Interval = .seconds(3_600)) throws -> FollowedFeed {
        let url = try #require(WebAddress("https://feeds.example.org/drop.txt?key=secret"))
        var configuration = Configuration.Feed("drop", .url(url), section: "feeds[0]")
        configuration.interval = interval
        return FollowedFeed(configuration, tls: nil)
    }

    private func table(_ text: String) throws -> FeedTable {
        try FeedReader.read(Array(text.utf8), name: "drop", sparing: []).get()
    }

    @Test func `is asked for soon after a failure, then less and less often`() throws {
        let feed = try feed()
        #expect(feed.pause == .seconds(3_600))
        var pauses: [Int64] = []
        for _ in 0..<9 {
            _ = feed.failed("status 503")
            pauses.append(feed.pause.seconds)
        }
        #expect(pauses == [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
        feed.confirmed(at: wall)
        #expect(feed.pause == .seconds(3_600))
        let often = try self.feed(interval: .seconds(40))
        _ = often.failed("status 503")
        _ = often.failed("status 503")
        #expect(often.pause == .seconds(40), "never later than it would have been")
    }

    @Test func `says what is news`() throws {
        let feed = try feed()
        #expect(feed.failed("status 503"))
        #expect(!feed.failed("status 503"))
        #expect(feed.failed("no answer in time"))
        feed.confirmed(at: wall)
        #expect(feed.failed("no answer in time"))
    }

    @Test func `reports its state and no secret`() throws {
        let feed = try feed()
        #expect(feed.report()["state"] == "none")
        #expect(feed.report()["action"] == "block")
        #expect(!feed.report().text.contains("secret"))
        feed.restored(try table("192.0.2.1\n192.0.2.2\n"), digest: [1])
        #expect(feed.report()["state"] == "stale", "it may be of yesterday")
        #expect(feed.report()["entries"] == 2)
        feed.took(try table("192.0.2.1\n"), digest: [2], at: wall)
        #expect(feed.report()["state"] == "fresh")
        #expect(feed.report()["updated_at"] == "2026-11-21T12:00:00.000Z")
        _ = feed.failed("status 503")
        #expect(feed.report()["state"] == "stale")
        #expect(feed.report()["problem"] == "status 503")
        #expect(feed.report()["entries"] == 1)
    }

    @Test func `is kept for its own source alone, and no URL is`() throws {
        var template = Array("/tmp/gateway-feeds-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { _ = rmdir(directory) }
        let configuration = try feed().configuration
        let copy = FeedCopy(directory: directory, feed: configuration)
        #expect(copy.read() == nil)
        #expect(copy.write(Array("192.0.2.1\n".utf8)) == nil)
        #expect(copy.write(Array("192.0.2.2\n".utf8)) == nil, "in the place of the former")
        #expect(copy.read() == Array("192.0.2.2\n".utf8))
        let kept = try FeedFile.read(copy.path)
        #expect(!String(decoding: kept, as: UTF8.self).contains("secret"))
        var other = configuration
        other.source = .file(path: "/etc/gateway/drop.txt")
        #expect(FeedCopy(directory: directory, feed: other).read() == nil)
        unlink(copy.path)
        let nowhere = FeedCopy(directory: directory + "/a/b", feed: configuration)
        #expect(nowhere.write([]) == "\(directory)/a/b: No such file or directory")
    }
}
