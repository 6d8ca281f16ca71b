/// What a TLS connection says about its client, made once when the handshake is done. An object, so that handing it to the
/// stages of each request costs nothing; nil stands for a connection without TLS.
package final class ClientLink: Sendable {
    /// Whole field lines for backends about the client's certificate, which was verified; empty when it showed none.
    package let certificateFields: [UInt8]

    /// - Parameters:
    ///   - subject: RFC 4514, printable ASCII.
    ///   - fingerprint: SHA-256 in hexadecimal.
    ///   - encoded: the DER form in base64.
    package init(subject: String, fingerprint: String, encoded: String) {
        // RFC 9440 §2.2: a byte sequence of structured fields.
        let text =
            "Client-Cert: :\(encoded):\r\nX-Client-Cert-Subject: \(subject)\r\n"
            + "X-Client-Cert-Fingerprint: \(fingerprint)\r\n"
        certificateFields = Array(text.utf8)
    }

    /// Of a client whose connection ends at a proxy that vouches for it.
    package static let vouched = ClientLink()

    /// A client without a certificate.
    package init() { certificateFields = [] }
}
