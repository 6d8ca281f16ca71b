internal import Wire

/// What the requests of one connection tell the upstream of their way: X-Forwarded-*, Forwarded and Via. It is the same
/// text for all that ask for the same host, so what was written for one of them is kept for the next. An object, for one
/// connection after another, so that nobody copies the text to say it.
package final class ForwardingText {
    /// Bytes of text that are kept. What is longer is written anew each time.
    private static let room = 512

    /// Owned; freed in `deinit`. Nil until something is kept: who only connects costs less.
    private var text: UnsafeMutablePointer<UInt8>?
    /// 0: nothing is kept.
    private var count = 0

    // What the text was made from, besides the configuration.
    private var peer = IPAddress(v4: 0)
    private var isSecure = false
    private var minorVersion: UInt8 = 0
    /// Where the host stands in the text.
    private var host = 0..<0

    package init() {}

    deinit { text?.deallocate() }

    /// To be called when the configuration has changed.
    package func clear() { count = 0 }

    /// The text, if it is right for this request; empty otherwise.
    @_lifetime(borrow self)
    func of(_ facts: borrowing RequestFacts, _ host: Span<UInt8>, _ peer: IPAddress) -> Span<UInt8> {
        guard let text, count > 0, peer == self.peer, facts.isSecure == isSecure, facts.minorVersion == minorVersion
        else {
            return Span()
        }
        let kept = unsafe _overrideLifetime(Span(_unsafeStart: text, count: count), borrowing: self)
        return host.equals(kept.extracting(self.host)) ? kept : Span()
    }

    /// - Parameter host: where the request's host stands in `written`.
    func keep(_ written: Span<UInt8>, of facts: borrowing RequestFacts, host: Range<Int>, _ peer: IPAddress) {
        count = 0
        guard written.count <= ForwardingText.room else { return }
        let text = text ?? .allocate(capacity: ForwardingText.room)
        self.text = text
        written.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            text.update(from: start, count: source.count)
        }
        count = written.count
        self.peer = peer
        isSecure = facts.isSecure
        minorVersion = facts.minorVersion
        self.host = host
    }
}
