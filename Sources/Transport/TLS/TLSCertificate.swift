internal import COpenSSL
internal import Glibc

/// What a client's certificate says, as far as backends and logs are told.
package struct TLSPeerCertificate: Sendable {
    /// RFC 4514: `CN=alice,O=Example`.
    package let subject: String
    /// SHA-256 of the DER form, in lower-case hexadecimal.
    package let fingerprint: String
    /// The DER form, for RFC 9440.
    package let der: [UInt8]

    /// - Parameter certificate: borrowed.
    init(_ certificate: OpaquePointer) {
        subject = text(of: X509_get_subject_name(certificate))
        der = derForm(of: certificate)
        fingerprint = digest(of: certificate)
    }
}

/// A certificate of ours with its chain and key, read from PEM.
package struct TLSCertificate: Sendable {
    /// What is wrong with the files, in words that do not contain them.
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package enum File: Sendable { case certificate, key, ocsp }
        package let file: File
        package let description: String
    }

    /// Lower case; `*.example.org` among them. From the subject alternative names, or the common name if there are none.
    package let names: [String]
    /// Seconds since 1970.
    package let notBefore: Int64
    package let notAfter: Int64
    /// SHA-256 of the leaf.
    package let fingerprint: String
    /// Of the key, as OpenSSL numbers them: of each kind a client may be shown another certificate.
    let kind: Int32
    let leaf: X509Handle
    let chain: [X509Handle]
    let key: KeyHandle
    /// A stapled OCSP response in DER; nil: none, or it is stale.
    private(set) var staple: [UInt8]?
    /// When the staple must not be shown any more, in seconds since 1970.
    package private(set) var stapleUntil: Int64 = .max

    /// - Parameters:
    ///   - chain: the certificate first, then the intermediate ones.
    ///   - key: PKCS#8 or the older forms, without a passphrase.
    package init(chain pem: [UInt8], key keyPEM: [UInt8]) throws(Problem) {
        defer { ERR_clear_error() }
        guard var certificates = X509Handle.all(inPEM: pem) else {
            throw Problem(file: .certificate, description: "a certificate in it is damaged or not complete")
        }
        guard !certificates.isEmpty else {
            throw Problem(file: .certificate, description: "it holds no certificate in PEM form")
        }
        guard let key = KeyHandle(pem: keyPEM) else {
            let encrypted = contains(keyPEM, "ENCRYPTED")
            throw Problem(
                file: .key,
                description: encrypted
                    ? "the key is protected by a passphrase, which nobody could type at a restart; store it without one"
                    : "it holds no private key in PEM form")
        }
        leaf = certificates.removeFirst()
        chain = certificates
        self.key = key
        guard X509_check_private_key(leaf.pointer, key.pointer) == 1 else {
            throw Problem(file: .key, description: "the key does not belong to the first certificate of the chain")
        }
        kind = EVP_PKEY_get_base_id(key.pointer)
        names = leaf.names
        notBefore = seconds(X509_get0_notBefore(leaf.pointer))
        notAfter = seconds(X509_get0_notAfter(leaf.pointer))
        fingerprint = digest(of: leaf.pointer)
    }

    /// Takes an OCSP response (DER) to staple. It must be about this certificate, good, and of now; whether it is signed by
    /// the right hand is the client's to check.
    package mutating func staple(_ der: [UInt8], at now: Int64) throws(Problem) {
        defer { ERR_clear_error() }
        func problem(_ words: String) -> Problem { Problem(file: .ocsp, description: words) }
        guard let issuer = chain.first else {
            throw problem("the chain lacks the issuer of the certificate, so the response cannot be matched")
        }
        let response = der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var start = buffer.baseAddress
            return d2i_OCSP_RESPONSE(nil, &start, buffer.count)
        }
        guard let response else { throw problem("it is not an OCSP response in DER form") }
        defer { OCSP_RESPONSE_free(response) }
        guard OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL,
            let basic = OCSP_response_get1_basic(response)
        else { throw problem("the responder gave no answer") }
        defer { OCSP_BASICRESP_free(basic) }
        guard let id = OCSP_cert_to_id(nil, leaf.pointer, issuer.pointer) else { throw problem("out of memory") }
        defer { OCSP_CERTID_free(id) }
        var status: Int32 = 0
        var reason: Int32 = 0
        var revoked: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        var this: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        var next: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
        guard OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &this, &next) == 1 else {
            throw problem("it is about another certificate")
        }
        guard status == V_OCSP_CERTSTATUS_GOOD else { throw problem("it says that the certificate is not good") }
        guard seconds(this) <= now + 300 else { throw problem("it is not valid yet") }
        let until = next.map { seconds($0) } ?? .max
        guard until > now else { throw problem("it is out of date") }
        staple = der
        stapleUntil = until
    }
}

/// A certificate. Immutable from here on, and OpenSSL counts its users with atomics: threads may share it.
final class X509Handle: Sendable {
    /// Owned.
    nonisolated(unsafe) let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { X509_free(pointer) }

    /// Nil: one of them is damaged, as in a file that is being written. The caller clears OpenSSL's errors.
    static func all(inPEM pem: [UInt8]) -> [X509Handle]? {
        guard let memory = BIO_new_mem_buf(pem, Int32(clamping: pem.count)) else { return [] }
        defer { BIO_free(memory) }
        var result: [X509Handle] = []
        ERR_clear_error()
        while let certificate = PEM_read_bio_X509(memory, nil, nil, nil) { result.append(X509Handle(certificate)) }
        return gateway_error_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? result : nil
    }

    /// DNS names and, for a certificate without any, the common name (still found in private authorities).
    var names: [String] {
        var result: [String] = []
        if let all = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) {
            let names = OpaquePointer(all)
            defer { GENERAL_NAMES_free(names) }
            for index in 0..<gateway_names_count(names) {
                guard let name = gateway_dns_name(gateway_name_at(names, index)) else { continue }
                let bytes = UnsafeBufferPointer(
                    start: ASN1_STRING_get0_data(name), count: Int(ASN1_STRING_length(name)))
                result.append(String(decoding: bytes, as: UTF8.self).lowercased())
            }
        }
        guard result.isEmpty else { return result }
        var common = [CChar](repeating: 0, count: 256)
        let count = X509_NAME_get_text_by_NID(X509_get_subject_name(pointer), NID_commonName, &common, 256)
        guard count > 0 else { return [] }
        return [String(decoding: common[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()]
    }
}

/// A private key, shared like a certificate.
final class KeyHandle: Sendable {
    /// Owned.
    nonisolated(unsafe) let pointer: OpaquePointer

    init?(pem: [UInt8]) {
        guard let memory = BIO_new_mem_buf(pem, Int32(clamping: pem.count)) else { return nil }
        defer { BIO_free(memory) }
        // A callback that knows no passphrase: without one OpenSSL would ask on the terminal.
        guard let key = PEM_read_bio_PrivateKey(memory, nil, { _, _, _, _ in -1 }, nil) else { return nil }
        pointer = key
    }
    deinit { EVP_PKEY_free(pointer) }
}

private func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
    guard let time else { return 0 }
    var broken = tm()
    guard ASN1_TIME_to_tm(time, &broken) == 1 else { return 0 }
    return Int64(timegm(&broken))
}

private func text(of name: OpaquePointer?) -> String {
    guard let name, let memory = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(memory) }
    // RFC 4514, with everything beyond ASCII escaped: it becomes a field value.
    _ = gateway_print_name(memory, name)
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = Int(BIO_read(memory, &bytes, Int32(bytes.count)))
    // A part of a name is another name.
    guard count > 0, count < bytes.count else { return "" }
    // The space at the end of a field's value is none of its own, escaped or not.
    if bytes[..<count].suffix(2).elementsEqual("\\ ".utf8) {
        return String(decoding: bytes[..<(count - 1)], as: UTF8.self) + "20"
    }
    return String(decoding: bytes[..<count], as: UTF8.self)
}

private func derForm(of certificate: OpaquePointer) -> [UInt8] {
    let count = i2d_X509(certificate, nil)
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    bytes.withUnsafeMutableBufferPointer { buffer in
        var start = buffer.baseAddress
        i2d_X509(certificate, &start)
    }
    return bytes
}

private func digest(of certificate: OpaquePointer) -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    X509_digest(certificate, EVP_sha256(), &bytes, &count)
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

private func contains(_ bytes: [UInt8], _ word: String) -> Bool {
    String(decoding: bytes, as: UTF8.self).contains(word)
}
