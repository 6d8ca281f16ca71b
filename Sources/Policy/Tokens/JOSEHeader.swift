internal import Crypto
internal import Wire

/// The protected header of a JWS (RFC 7515 §4), read for what decides and nothing else. `jku`, `jwk`, `x5u` and `x5c`
/// are never followed: a token does not choose the key it is judged by (RFC 8725 §3.10).
struct JOSEHeaderReader: ~Copyable {
    /// A header that is longer is refused: it is read before anything is known of its sender.
    static let maximumBytes = 4096

    private let plan: ClaimPlan
    private let alg, kid, typ, cty, crit, b64: Int
    private var scanner = ClaimScanner(capacity: maximumBytes)
    /// The text that was read last, if it was understood: the tokens of one issuer have one header, so it is nearly always
    /// the next one, too. `scanner` still holds it.
    private var known: [UInt8] = []
    private var knownAlgorithm = SignatureAlgorithm.hs256

    init() {
        var plan = ClaimPlan()
        alg = plan.member("alg")
        kid = plan.member("kid")
        typ = plan.member("typ")
        cty = plan.member("cty")
        crit = plan.member("crit")
        b64 = plan.member("b64")
        self.plan = plan
    }

    enum Result {
        case header(SignatureAlgorithm)
        case refused(Reason)
    }

    mutating func read(_ text: Span<UInt8>) -> Result {
        if isKnown(text) { return .header(knownAlgorithm) }
        known.removeAll(keepingCapacity: true)
        let result = readAnew(text)
        if case .header(let algorithm) = result {
            text.withUnsafeBufferPointer { known.append(contentsOf: $0) }
            knownAlgorithm = algorithm
        }
        return result
    }

    /// `read` would find what it found last.
    func isKnown(_ text: Span<UInt8>) -> Bool { !known.isEmpty && Bytes.equal(known.span, text) }

    private mutating func readAnew(_ text: Span<UInt8>) -> Result {
        guard scanner.scan(base64URL: text, plan) else { return .refused(.invalidToken) }
        // RFC 7515 §4.1.11: no extension is understood here, so none can be critical. `b64` changes what is signed
        // (RFC 7797) and is refused even where nobody marked it.
        guard scanner.value(crit).kind == .absent, scanner.value(b64).kind == .absent else {
            return .refused(.invalidToken)
        }
        let name = scanner.value(alg)
        guard name.kind == .string else { return .refused(.invalidToken) }
        guard let algorithm = SignatureAlgorithm(name: scanner.text(name)) else { return .refused(.algNotAllowed) }
        let kidKind = scanner.value(kid).kind
        guard kidKind == .string || kidKind == .absent, isTypeAllowed, isNotNested else {
            return .refused(.invalidToken)
        }
        return .header(algorithm)
    }

    /// RFC 8725 §3.11: a token made for another purpose is no access token. Many issuers write no type.
    private var isTypeAllowed: Bool {
        let type = scanner.value(typ)
        guard type.kind != .absent else { return true }
        guard type.kind == .string else { return false }
        return isMediaType(type, "jwt") || isMediaType(type, "at+jwt")
    }

    /// `cty: JWT` says that the payload is another token (RFC 7519 §5.2).
    private var isNotNested: Bool {
        let type = scanner.value(cty)
        return type.kind == .absent || type.kind == .string && !isMediaType(type, "jwt")
    }

    /// RFC 7515 §4.1.9, §4.1.10: the prefix may be left out, and letter case does not matter.
    private func isMediaType(_ value: ClaimScanner.Value, _ name: StaticString) -> Bool {
        var text = scanner.text(value)
        if text.extracting(0..<min(12, text.count)).equalsIgnoringCase("application/") {
            text = text.extracting(12..<text.count)
        }
        return text.equalsIgnoringCase(name)
    }

    /// The kid of the header read last.
    var keyID: [UInt8]? { scanner.string(kid) }
}
