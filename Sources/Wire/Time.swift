internal import Glibc

/// A length of time in whole nanoseconds; may be negative.
public struct Interval: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Traps beyond 292 years, as all arithmetic here does: what others send is bounded before it gets here.
    @inlinable
    public static func milliseconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count) * 1_000_000) }
    @inlinable
    public static func seconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count) * 1_000_000_000) }
    @inlinable
    public static var zero: Interval { Interval(nanoseconds: 0) }

    /// Whole milliseconds, rounded towards zero.
    @inlinable
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    /// Whole seconds, rounded towards zero.
    @inlinable
    public var seconds: Int64 { nanoseconds / 1_000_000_000 }
    /// Whole seconds, rounded up: as long as something is ahead there is time left of it.
    package var secondsRoundedUp: Int { Int((nanoseconds + 999_999_999) / 1_000_000_000) }

    @inlinable
    public static func == (a: Interval, b: Interval) -> Bool { a.nanoseconds == b.nanoseconds }
    @inlinable
    public static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable
    public static func + (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds + b.nanoseconds)
    }
    @inlinable
    public static func - (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds - b.nanoseconds)
    }
}

/// A point on this machine's monotonic clock. It never jumps, means nothing on another machine or after a reboot,
/// and is what every deadline in memory is kept in.
public struct Instant: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// CLOCK_MONOTONIC.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Later than anything that will be met: the deadline of what does not end.
    @inlinable
    public static var never: Instant { Instant(nanoseconds: .max) }

    @inlinable
    public static func == (a: Instant, b: Instant) -> Bool { a.nanoseconds == b.nanoseconds }
    @inlinable
    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable
    public static func - (a: Instant, b: Instant) -> Interval { Interval(nanoseconds: a.nanoseconds - b.nanoseconds) }
    /// Saturates at `never`, so that a deadline far away cannot wrap into the past.
    @inlinable
    public static func + (a: Instant, b: Interval) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return overflow ? .never : Instant(nanoseconds: sum)
    }
}

/// A point in civil time (UTC): for logs, token claims and what is written to disk. It may jump.
public struct WallTime: Hashable, Comparable, Sendable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: Int64

    @inlinable
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package init(seconds: Int64) { self.milliseconds = seconds * 1_000 }

    /// CLOCK_REALTIME, to the millisecond.
    package static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Whole seconds since 1970, rounded down.
    @inlinable
    public var seconds: Int64 { milliseconds >= 0 ? milliseconds / 1_000 : (milliseconds - 999) / 1_000 }

    @inlinable
    public static func < (a: WallTime, b: WallTime) -> Bool { a.milliseconds < b.milliseconds }
    @inlinable
    public static func + (a: WallTime, b: Interval) -> WallTime {
        WallTime(milliseconds: a.milliseconds + b.milliseconds)
    }
    package static func - (a: WallTime, b: WallTime) -> Interval {
        Interval(nanoseconds: (a.milliseconds - b.milliseconds) * 1_000_000)
    }

    /// The calendar fields in UTC, by the days-to-civil algorithm (proleptic Gregorian), without a time zone database.
    package var civil: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, millisecond: Int) {
        let total = seconds
        let days = (total >= 0 ? total : total - 86_399) / 86_400
        let inDay = Int(total - days * 86_400)
        // Days are counted from 0000-03-01, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        let month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        let year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        let millisecond = Int(milliseconds - total * 1_000)
        return (year, month, day, inDay / 3_600, inDay / 60 % 60, inDay % 60, millisecond)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-21T07:09:16.123Z`. Always 24 characters for the years 0–9999.
    package var text: String {
        let at = civil
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(at.year, 4))-\(padded(at.month, 2))-\(padded(at.day, 2))T"
            + "\(padded(at.hour, 2)):\(padded(at.minute, 2)):\(padded(at.second, 2)).\(padded(at.millisecond, 3))Z"
    }
}

extension WallTime {
    /// IMF-fixdate (RFC 9110 §5.6.7): `Sat, 21 Nov 2026 07:09:16 GMT`. Always 29 characters for the years 1000–9999.
    package var httpDate: String {
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]  // 1970-01-01 was a Thursday
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let at = civil
        let day = Int(((seconds - Int64(at.hour * 3_600 + at.minute * 60 + at.second)) / 86_400) % 7)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(days[(day + 7) % 7]), \(two(at.day)) \(months[at.month - 1]) \(at.year) "
            + "\(two(at.hour)):\(two(at.minute)):\(two(at.second)) GMT"
    }
}
