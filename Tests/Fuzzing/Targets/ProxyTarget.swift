import Glibc
import Wire

/// The header by which a load balancer announces a client, whatever follows it and however it is cut.
package final class ProxyTarget: FuzzTarget {
    package static let name = "proxy"

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        let reading = ProxyHeader.read(input.span)
        try checkPieces(of: input, reading)
        switch reading {
        case .incomplete:
            try require(input.count < ProxyHeader.maximumLength, "a header that does not end is refused")
        case .malformed: try require(witness(input) == nil, "what a second reader understands is not malformed")
        case .complete(let length, let origin):
            try require(
                length <= min(input.count, ProxyHeader.maximumLength), "a header is among the bytes that are there")
            try require(witness(input) == Witness(length: length, origin), "a second reader understands the same")
            if case .announced(let source, let destination) = origin { try checkOurs(source, destination) }
        }
    }

    /// A connection is read as its bytes arrive, so what they mean must not hang on where they were cut.
    private func checkPieces(of input: [UInt8], _ reading: ProxyHeader.Reading) throws(Finding) {
        // The addresses of both versions are over by then; behind them one cut in sixty-four will do.
        for cut in 0..<input.count where cut < 256 || cut & 63 == 0 {
            switch ProxyHeader.read(input.span.extracting(0..<cut)) {
            case .incomplete:
                if case .complete(let length, _) = reading {
                    try require(cut < length, "a whole header needs nothing that follows it")
                }
            case let early: try require(early == reading, "what is decided is not changed by what follows")
            }
        }
    }

    // MARK: A second reader

    fileprivate struct Witness: Equatable {
        let length: Int
        /// The source and the destination as text; nil: the sender's own connection.
        let ends: [String]?

        static func text(_ address: IPAddress, _ port: UInt16) -> String { "\(address) \(port)" }
    }

    /// Nil: not understood. Addresses are read by the system, not by us.
    private func witness(_ input: [UInt8]) -> Witness? {
        input.first == UInt8(ascii: "P") ? lineWitness(input) : blockWitness(input)
    }

    /// proxy-protocol.txt §2.1, with the whole line at hand.
    private func lineWitness(_ input: [UInt8]) -> Witness? {
        guard let end = input.prefix(107).firstIndex(of: 10), end > 0, input[end - 1] == 13 else { return nil }
        guard !input[..<(end - 1)].contains(13) else { return nil }
        let words = input[..<(end - 1)].split(separator: 32, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count > 1, words[0] == "PROXY" else { return nil }
        if words[1] == "UNKNOWN" { return Witness(length: end + 1, ends: nil) }
        guard words.count == 6, let family = ["TCP4": AF_INET, "TCP6": AF_INET6][words[1]] else { return nil }
        var ends: [String] = []
        for (address, port) in [(words[2], words[4]), (words[3], words[5])] {
            guard let read = system(address, family), let number = UInt16(port), String(number) == port else {
                return nil
            }
            ends.append(Witness.text(read, number))
        }
        guard !ends[0].hasPrefix(":: "), !ends[0].hasPrefix("0.0.0.0 ") else { return nil }
        return Witness(length: end + 1, ends: ends)
    }

    private func system(_ text: String, _ family: Int32) -> IPAddress? {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard !text.utf8.contains(0), inet_pton(family, text, &bytes) == 1 else { return nil }
        return address(bytes[...], isV4: family == AF_INET)
    }

    private func address(_ bytes: ArraySlice<UInt8>, isV4: Bool) -> IPAddress {
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        guard !isV4 else { return IPAddress(v4: UInt32(number(bytes.prefix(4)))) }
        return IPAddress(high: number(bytes.prefix(8)), low: number(bytes.dropFirst(8).prefix(8)))
    }

    /// §2.2, with the whole block at hand. A checksum is not calculated here: a block that has one is taken for what we say.
    private func blockWitness(_ input: [UInt8]) -> Witness? {
        guard input.count >= 16, Array(input[..<12]) == Array("\r\n\r\n\0\r\nQUIT\n".utf8) else { return nil }
        let length = 16 + Int(input[14]) << 8 + Int(input[15])
        guard input.count >= length, length <= ProxyHeader.maximumLength else { return nil }
        if input[12] == 0x20 { return Witness(length: length, ends: nil) }
        guard input[12] == 0x21, input[13] >> 4 <= 3, input[13] & 15 <= 2 else { return nil }
        guard input[13] >> 4 != 0, input[13] & 15 != 0 else { return Witness(length: length, ends: nil) }
        let size = [0: 0, 1: 4, 2: 16, 3: 108][Int(input[13] >> 4)]!
        var place = 16 + 2 * size + (size == 108 ? 0 : 4)
        guard place <= length else { return nil }
        while place < length {
            guard place + 3 <= length, input[place] != 3 else { return checksummed(input, length) }
            place += 3 + Int(input[place + 1]) << 8 + Int(input[place + 2])
        }
        guard place == length else { return nil }
        return size == 108 || input[13] & 15 == 2 ? Witness(length: length, ends: nil) : announced(input, size, length)
    }

    private func announced(_ input: [UInt8], _ size: Int, _ length: Int) -> Witness? {
        var ends: [String] = []
        for side in 0..<2 {
            let start = 16 + side * size
            let port = 16 + 2 * size + 2 * side
            let address = address(input[start..<start + size], isV4: size == 4)
            guard side == 1 || !address.isUnspecified else { return nil }
            ends.append(Witness.text(address, UInt16(input[port]) << 8 | UInt16(input[port + 1])))
        }
        return Witness(length: length, ends: ends)
    }

    private func checksummed(_ input: [UInt8], _ length: Int) -> Witness? {
        guard case .complete(length, let origin) = ProxyHeader.read(input.span) else { return nil }
        return Witness(length: length, origin)
    }

    // MARK: Headers of ours

    private func checkOurs(_ source: Endpoint, _ destination: Endpoint) throws(Finding) {
        for header in [
            ProxyHeader.line(from: source, to: destination), ProxyHeader.block(from: source, to: destination),
        ] {
            let expected = ProxyHeader.Reading.complete(
                length: header.count, .announced(source: source, destination: destination))
            try require(ProxyHeader.read(header.span) == expected, "what was announced to us can be announced again")
        }
    }
}

extension ProxyTarget.Witness {
    /// What we have read.
    fileprivate init(length: Int, _ origin: ProxyHeader.Origin) {
        switch origin {
        case .sender: self.init(length: length, ends: nil)
        case .announced(let source, let destination):
            self.init(length: length, ends: [source, destination].map { Self.text($0.address, $0.port) })
        }
    }
}
