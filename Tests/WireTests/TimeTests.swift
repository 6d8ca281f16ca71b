import Testing

@testable import Wire

@Suite struct `Civil time` {
    /// Seconds since 1970, as RFC 3339 and as IMF-fixdate (RFC 9110 §5.6.7).
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "2000-02-28T23:59:59.000Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z", "Tue, 14 Nov 2023 22:13:20 GMT"),
        (1_709_164_800, "2024-02-29T00:00:00.000Z", "Thu, 29 Feb 2024 00:00:00 GMT"),
        (2_147_483_648, "2038-01-19T03:14:08.000Z", "Tue, 19 Jan 2038 03:14:08 GMT"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-1, "1969-12-31T23:59:59.000Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
        (-86_400, "1969-12-31T00:00:00.000Z", "Wed, 31 Dec 1969 00:00:00 GMT"),
        (-2_203_891_200, "1900-03-01T00:00:00.000Z", "Thu, 01 Mar 1900 00:00:00 GMT"),
    ])
    func `is written as logs and headers want it`(seconds: Int, text: String, date: String) {
        #expect(WallTime(seconds: Int64(seconds)).text == text)
        #expect(WallTime(seconds: Int64(seconds)).httpDate == date)
    }

    @Test func `has milliseconds, also before 1970`() {
        #expect(WallTime(milliseconds: 1_700_000_000_007).text == "2023-11-14T22:13:20.007Z")
        #expect(WallTime(milliseconds: 999).text == "1970-01-01T00:00:00.999Z")
        #expect(WallTime(milliseconds: -1).text == "1969-12-31T23:59:59.999Z")
        #expect(WallTime(milliseconds: -1).seconds == -1)
        #expect(WallTime(milliseconds: -1_000).seconds == -1)
        #expect(WallTime(milliseconds: 1_999).seconds == 1)
        #expect(WallTime(milliseconds: 1_999).httpDate == "Thu, 01 Jan 1970 00:00:01 GMT")
    }

    /// Every day of four centuries, counted on from the one before.
    @Test func `knows every day of four centuries`() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var (year, month, day) = (1800, 1, 1)
        // 1970-01-01 is 62,091 days later.
        for count in 0..<146_097 {
            let civil = WallTime(seconds: Int64(count - 62_091) * 86_400).civil
            guard civil.year == year, civil.month == month, civil.day == day, civil.hour == 0 else {
                Issue.record("\(civil) is not \(year)-\(month)-\(day)")
                return
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > lengths[month - 1] + (isLeap && month == 2 ? 1 : 0) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect((year, month, day) == (2200, 1, 1))
    }

    @Test func `has differences in nanoseconds`() {
        #expect(WallTime(milliseconds: 5) - WallTime(milliseconds: 2) == .milliseconds(3))
        #expect(WallTime(milliseconds: 5) + .milliseconds(3) == WallTime(milliseconds: 8))
        #expect(WallTime(milliseconds: 5) < WallTime(milliseconds: 6))
    }
}

@Suite struct `The monotonic clock` {
    /// A deadline far away must not wrap into the past, where it would be met at once.
    @Test func `does not wrap`() {
        #expect(Instant.never + .seconds(1) == .never)
        #expect(Instant(nanoseconds: .max - 1) + .seconds(1_000_000) == .never)
        #expect(Instant(nanoseconds: 5) + .milliseconds(1) == Instant(nanoseconds: 1_000_005))
        #expect(Instant(nanoseconds: 5) < Instant.never)
    }

    @Test func `does not go back`() {
        let first = Instant.now()
        #expect(Instant.now() >= first)
        #expect(Instant.now() - first < .seconds(60))
    }

    @Test func `measures in whole units, rounded towards zero`() {
        #expect(Interval.seconds(2).milliseconds == 2_000)
        #expect(Interval.milliseconds(2_999).seconds == 2)
        #expect(Interval(nanoseconds: -1_500_000).milliseconds == -1)
        #expect(Interval.seconds(1) + .milliseconds(1) - .seconds(1) == .milliseconds(1))
    }
}
