extension WallTime {
    /// Reads what `text` writes, `2026-11-21T07:09:16.123Z`, or the same without milliseconds; nil for anything else.
    package init?(text: String) {
        var bytes = Array(text.utf8)
        if bytes.count == 20, bytes.last == UInt8(ascii: "Z") { bytes = bytes.dropLast() + Array(".000Z".utf8) }
        guard bytes.count == 24 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            bytes[range].allSatisfy { (48...57).contains($0) }
                ? Int64(String(decoding: bytes[range], as: UTF8.self)) : nil
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), let millisecond = number(20..<23),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        // Days from civil, with years that begin in March so that the leap day is their last.
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let inEra = shifted - era * 400
        let inYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + inEra * 365 + inEra / 4 - inEra / 100 + inYear - 719_468
        self.init(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millisecond)
        guard self.text.utf8.elementsEqual(bytes) else { return nil }
    }
}
