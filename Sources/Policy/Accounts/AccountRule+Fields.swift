internal import Wire

extension AccountRule {
    /// Whether the body is what it seems to be: its fields name no encoding that is not read here. Several fields of a name
    /// are all looked at, since nobody knows which of them a backend takes.
    /// - Parameters:
    ///   - head: of the request, with its empty line.
    ///   - start: somewhere in its first line.
    package static func isReadable(_ head: Span<UInt8>, from start: Int) -> Bool {
        var at = start
        while at < head.count, head[at] != 0x0a { at += 1 }
        at += 1
        while at < head.count, case .complete(let field, let length) = FieldLine.parse(head, at: at) {
            let name = head.extracting(field.name)
            if name.equalsIgnoringCase("content-encoding"), !AccountEncoding.isPlain(bytes(of: head, field.value)) {
                return false
            }
            if name.equalsIgnoringCase("content-type"), !AccountEncoding.isRead(bytes(of: head, field.value)) {
                return false
            }
            at += length
        }
        return true
    }

    private static func bytes(of head: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
        head.extracting(range).withUnsafeBufferPointer { Array($0) }
    }
}
