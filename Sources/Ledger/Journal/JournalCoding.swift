internal import Policy
internal import Wire

/// The bytes of a journal: a magic line, then records of length, checksum and payload, all numbers little-endian.
/// The checksum is CRC-32 (ISO 3309); it finds the torn end of a write, it does not guard against a forger.
enum JournalCoding {
    static let magic = Array("GWLEDG1\n".utf8)
    /// No honest record is longer: three texts of at most `textLimit` and some numbers.
    static let recordLimit = 4_096
    static let textLimit = 1_024

    static func append(_ record: JournalRecord, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 8))
        encode(record, to: &bytes)
        let length = bytes.count - start - 8
        var header: [UInt8] = []
        put(UInt32(length), to: &header)
        put(CRC32.checksum(bytes.span.extracting(start + 8..<bytes.count)), to: &header)
        bytes.replaceSubrange(start..<start + 8, with: header)
    }

    /// Folds every whole record after the magic into `state`; returns where the first bad one begins, which is the end
    /// when there is none.
    static func replay(_ bytes: [UInt8], into state: inout JournalState) -> Int {
        var position = magic.count
        while position + 8 <= bytes.count {
            var header = Cursor(bytes: bytes, position: position, end: position + 8)
            let length = Int(header.number(UInt32.self)!)
            let checksum = header.number(UInt32.self)!
            let start = position + 8
            guard length <= recordLimit, start + length <= bytes.count,
                CRC32.checksum(bytes.span.extracting(start..<start + length)) == checksum
            else { break }
            var payload = Cursor(bytes: bytes, position: start, end: start + length)
            guard let record = decode(&payload), payload.position == payload.end else { break }
            state.apply(record)
            position = start + length
        }
        return position
    }

    private static func encode(_ record: JournalRecord, to bytes: inout [UInt8]) {
        switch record {
        case .block(let block):
            put(block.subject, as: (network: 1, any: 60), to: &bytes)
            put(block.since.milliseconds, to: &bytes)
            put(block.deadline?.milliseconds ?? .max, to: &bytes)
            bytes.append(block.isPending ? 1 : 0)
            switch block.origin {
            case .automatic(let failures):
                bytes.append(0)
                put(Int64(failures), to: &bytes)
            case .command: bytes.append(1)
            case .byHand: bytes.append(2)
            }
            put(block.reason, to: &bytes)
            put(block.actor, to: &bytes)
        case .lift(let subject): put(subject, as: (network: 2, any: 61), to: &bytes)
        case .counter(let key, let count, let deadline):
            put(key, as: (address: 3, prefix: 40, any: 62), to: &bytes)
            put(Int64(count), to: &bytes)
            put(deadline.milliseconds, to: &bytes)
        case .clearCounter(let key): put(key, as: (address: 4, prefix: 41, any: 63), to: &bytes)
        case .clearAllCounters:
            bytes.append(5)
        case .unsettled(let unsettled):
            // What the plain rule counts an address under, is its to say again.
            let isPlain = unsettled.failure.key.isPlain
            bytes.append(isPlain ? 6 : 64)
            put(unsettled.failure.id.high, to: &bytes)
            put(unsettled.failure.id.low, to: &bytes)
            put(unsettled.failure.address, to: &bytes)
            put(unsettled.at.milliseconds, to: &bytes)
            if !isPlain { put(unsettled.failure.key.description, to: &bytes) }
        case .settled(let id):
            bytes.append(7)
            put(id.high, to: &bytes)
            put(id.low, to: &bytes)
        case .pendingLift(let subject): put(subject, as: (network: 8, any: 65), to: &bytes)
        case .liftSettled(let subject): put(subject, as: (network: 9, any: 66), to: &bytes)
        case .complete:
            bytes.append(10)
        case .revocation(let revocation):
            bytes.append(11)
            put(revocation, to: &bytes)
        case .revocationLifted(let target):
            bytes.append(12)
            put(target, to: &bytes)
        case .pendingRevocationLift(let target):
            bytes.append(13)
            put(target, to: &bytes)
        case .revocationLiftSettled(let target):
            bytes.append(14)
            put(target, to: &bytes)
        case .shared(let name, let text): put(.shared, name, text, to: &bytes)
        case .sharedRemoved(let name): put(.removed, name, to: &bytes)
        case .sharedPending(let name): put(.pending, name, to: &bytes)
        case .sharedSettled(let name): put(.settled, name, to: &bytes)
        case .epoch(let text):
            bytes.append(23)
            put(text, to: &bytes)
        case .word(let key, let word):
            bytes.append(24)
            put(key.text, to: &bytes)
            put(word.at.milliseconds, to: &bytes)
            bytes.append(word.overHand ? 1 : 0)
        case .wordSettled(let key):
            bytes.append(25)
            put(key.text, to: &bytes)
        }
    }

    private static func decode(_ cursor: inout Cursor) -> JournalRecord? {
        guard let kind = cursor.byte() else { return nil }
        if let (word, family) = shared(kind) { return decodeShared(word, family, &cursor) }
        return switch kind {
        case 1: cursor.network().flatMap { decodeBlock(of: BlockSubject($0), &cursor) }
        case 2: cursor.network().map { .lift(BlockSubject($0)) }
        case 3: cursor.address().flatMap { decodeCounter(under: LoginKey(IPNetwork($0)), &cursor) }
        case 4: cursor.address().map { .clearCounter(LoginKey(IPNetwork($0))) }
        case 5: .clearAllCounters
        case 6: decodeUnsettled(hasKey: false, &cursor)
        case 7: cursor.id().map { .settled($0) }
        case 8: cursor.network().map { .pendingLift(BlockSubject($0)) }
        case 9: cursor.network().map { .liftSettled(BlockSubject($0)) }
        case 10: .complete
        case 11: cursor.revocation().map { .revocation($0) }
        case 12: cursor.target().map { .revocationLifted($0) }
        case 13: cursor.target().map { .pendingRevocationLift($0) }
        case 14: cursor.target().map { .revocationLiftSettled($0) }
        case 23: cursor.text().map { .epoch($0) }
        case 24:
            if let key = cursor.text(), let at = cursor.number(Int64.self), let hand = cursor.byte() {
                .word(StoreKey(text: key), Word(at: WallTime(milliseconds: at), overHand: hand == 1))
            } else {
                nil
            }
        case 25: cursor.text().map { .wordSettled(StoreKey(text: $0)) }
        case 40: cursor.network().flatMap { decodeCounter(under: LoginKey($0), &cursor) }
        case 41: cursor.network().map { .clearCounter(LoginKey($0)) }
        case 60: cursor.subject().flatMap { decodeBlock(of: $0, &cursor) }
        case 61: cursor.subject().map { .lift($0) }
        case 62: cursor.key().flatMap { decodeCounter(under: $0, &cursor) }
        case 63: cursor.key().map { .clearCounter($0) }
        case 64: decodeUnsettled(hasKey: true, &cursor)
        case 65: cursor.subject().map { .pendingLift($0) }
        case 66: cursor.subject().map { .liftSettled($0) }
        default: nil
        }
    }

    private static func decodeUnsettled(hasKey: Bool, _ cursor: inout Cursor) -> JournalRecord? {
        guard let id = cursor.id(), let address = cursor.address(), let at = cursor.number(Int64.self) else {
            return nil
        }
        let key = hasKey ? cursor.key() : LoginKey(IPNetwork(address))
        guard let key else { return nil }
        return .unsettled(
            UnsettledFailure(
                failure: LoginFailure(id: id, address: address, key: key), at: WallTime(milliseconds: at)))
    }

    private static func decodeCounter(under key: LoginKey, _ cursor: inout Cursor) -> JournalRecord? {
        guard let count = cursor.number(Int64.self), let deadline = cursor.number(Int64.self) else { return nil }
        return .counter(key, count: Int(count), deadline: WallTime(milliseconds: deadline))
    }

    private static func decodeBlock(of subject: BlockSubject, _ cursor: inout Cursor) -> JournalRecord? {
        guard let since = cursor.number(Int64.self),
            let deadline = cursor.number(Int64.self), let pending = cursor.byte(), let kind = cursor.byte()
        else { return nil }
        let origin: BlockOrigin
        switch kind {
        case 0:
            guard let failures = cursor.number(Int64.self) else { return nil }
            origin = .automatic(failures: Int(failures))
        case 1: origin = .command
        case 2: origin = .byHand
        default: return nil
        }
        guard let reason = cursor.text(), let actor = cursor.text() else { return nil }
        return .block(
            StoredBlock(
                subject, origin: origin, reason: reason, actor: actor, since: WallTime(milliseconds: since),
                deadline: deadline == .max ? nil : WallTime(milliseconds: deadline), isPending: pending == 1))
    }

    static func put(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        var rest = value.littleEndian
        for _ in 0..<(rest.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    private static func put(_ address: IPAddress, to bytes: inout [UInt8]) {
        put(address.high, to: &bytes)
        put(address.low, to: &bytes)
    }

    private static func put(_ network: IPNetwork, to bytes: inout [UInt8]) {
        bytes.append(UInt8(network.bits))
        put(network.base, to: &bytes)
    }

    /// What a block is of: networks as they always stood here, all others as records of their own.
    private static func put(
        _ subject: BlockSubject, as kinds: (network: UInt8, any: UInt8), to bytes: inout [UInt8]
    ) {
        if subject.account == nil {
            bytes.append(kinds.network)
            put(subject.network, to: &bytes)
        } else {
            bytes.append(kinds.any)
            put(subject.description, to: &bytes)
        }
    }

    /// Under what failures are counted: by the plain rule for addresses as they always stood here, for prefixes and by
    /// other rules as records of their own.
    private static func put(
        _ key: LoginKey, as kinds: (address: UInt8, prefix: UInt8, any: UInt8), to bytes: inout [UInt8]
    ) {
        let network = key.subject.network
        if !key.isPlain {
            bytes.append(kinds.any)
            put(key.description, to: &bytes)
        } else if network.isSingleAddress {
            bytes.append(kinds.address)
            put(network.base, to: &bytes)
        } else {
            bytes.append(kinds.prefix)
            put(network, to: &bytes)
        }
    }

    static func put(_ text: String, to bytes: inout [UInt8], atMost limit: Int = textLimit) {
        let utf8 = text.utf8.prefix(limit)
        put(UInt16(utf8.count), to: &bytes)
        bytes.append(contentsOf: utf8)
    }

    struct Cursor {
        let bytes: [UInt8]
        var position: Int
        let end: Int

        mutating func byte() -> UInt8? {
            guard position < end else { return nil }
            position += 1
            return bytes[position - 1]
        }

        mutating func number<N: FixedWidthInteger>(_: N.Type) -> N? {
            let size = N.bitWidth / 8
            guard position + size <= end else { return nil }
            var value: N = 0
            for index in (0..<size).reversed() { value = value << 8 | N(truncatingIfNeeded: bytes[position + index]) }
            position += size
            return value
        }

        mutating func address() -> IPAddress? {
            guard let high = number(UInt64.self), let low = number(UInt64.self) else { return nil }
            return IPAddress(high: high, low: low)
        }

        mutating func network() -> IPNetwork? {
            guard let bits = byte(), bits <= 128, let base = address() else { return nil }
            return IPNetwork(base, bits: Int(bits))
        }

        mutating func subject() -> BlockSubject? { text().flatMap { BlockSubject($0) } }

        mutating func key() -> LoginKey? { text().flatMap { LoginKey($0) } }

        mutating func id() -> FailureID? {
            guard let high = number(UInt64.self), let low = number(UInt64.self) else { return nil }
            return FailureID(high: high, low: low)
        }

        mutating func text() -> String? {
            guard let count = number(UInt16.self), position + Int(count) <= end else { return nil }
            position += Int(count)
            return String(decoding: bytes[position - Int(count)..<position], as: UTF8.self)
        }
    }
}

enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
    }

    static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
        var value = UInt32.max
        let table = table
        for index in bytes.indices { value = value >> 8 ^ table[Int((value ^ UInt32(bytes[index])) & 255)] }
        return ~value
    }
}
