import Crypto
import Policy
import Settings
import Wire

/// What a provider of keys answers: an HTTP answer with a document, or, where the input does not begin as one, the document
/// itself. All of it comes from a machine that is not ours.
package final class FetchedTarget: FuzzTarget {
    package static let name = "fetched"

    private let issuer = WebAddress("https://issuer.example.org/realms/a")!
    private let tokens: Configuration.Tokens
    private let provider: Configuration.Tokens.Provider

    package init() {
        let text = """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            tokens: {keys: [{id: idp, oidc_issuer: "\(issuer)"}]}
            """
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        tokens = Configuration.load(source).configuration!.tokens
        guard case .provider(let configured) = tokens.keys[0].source else { preconditionFailure("a provider is set") }
        provider = configured
    }

    package func check(_ input: [UInt8]) throws(Finding) {
        guard input.starts(with: Array("HTTP/".utf8)) else { return try checkDocument(input) }
        let whole = verdict(input, cuts: [])
        let seed = input.checksum
        for cuts in [[Int(seed % UInt64(input.count + 1))], [Int(seed >> 32 % 64), Int(seed >> 16 % 512)].sorted()] {
            let pieces = verdict(input, cuts: cuts)
            switch (whole, pieces) {
            case (.document(let one), .document(let other)):
                try require(one == other, "a document does not hang on where its answer is cut")
            case (.refused, .refused): break
            default: throw Finding("whether an answer is taken does not hang on where it is cut")
            }
        }
        switch whole {
        case .incomplete: throw Finding("an answer that has ended is taken or refused")
        case .refused(let words):
            try require(words.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "what is told of it steers no terminal")
        case .document(let document):
            try require(document.bytes.count <= FetchedAnswer.maximumBytes, "a document is no larger than it may be")
            try checkSchedule(document.lifetime)
            try checkDocument(document.bytes)
        }
    }

    /// What the answer comes to, cut at these places and closed behind its last byte.
    private func verdict(_ input: [UInt8], cuts: [Int]) -> FetchedAnswer.Verdict {
        let answer = FetchedAnswer()
        var start = 0
        for end in cuts.filter({ $0 < input.count }) + [input.count] where end > start {
            let verdict = answer.take(input.span.extracting(start..<end))
            if verdict != .incomplete { return verdict }
            start = end
        }
        return answer.ended()
    }

    private func checkSchedule(_ lifetime: Interval?) throws(Finding) {
        let now = Instant(nanoseconds: 1_000_000_000_000)
        var schedule = KeySchedule(provider, at: now)
        _ = schedule.begins(at: now)
        schedule.succeeded(at: now, lifetime: lifetime, chance: UInt8(truncatingIfNeeded: lifetime?.nanoseconds ?? 0))
        try require(
            schedule.deadline >= now + .seconds(45) && schedule.deadline <= now + provider.maximumAge,
            "the next fetch is neither at once nor when the keys are too old")
    }

    private func checkDocument(_ bytes: [UInt8]) throws(Finding) {
        let (set, problems) = KeySet.build(from: tokens, current: ["idp": bytes])
        try require(!set.isIncomplete, "a set that is here is not missing")
        try require(set.keys.count <= 256, "no set has more keys than are taken")
        for key in set.keys {
            try require(key.label.hasPrefix("idp/"), "a key is told as one of its source")
            try require(key.algorithms.isDisjoint(with: .hmac), "no secret is fetched")
            try require(!key.algorithms.isEmpty, "a key is good for something")
        }
        let isRefused = KeySet.problem(inJWKS: bytes, of: "idp", isFetched: true) != nil
        try require(isRefused == set.keys.isEmpty, "a set is refused when none of its keys can be used")
        try require(!isRefused || !problems.isEmpty, "what is wrong with a set is told")
        guard case .success(let address) = ProviderMetadata.keys(in: bytes, of: issuer, allowsHTTP: false) else {
            return
        }
        try require(address.isSecure, "an issuer that is asked over TLS sends nobody elsewhere without")
        try checkRequest(address)
    }

    /// What we ask for is what a parser of requests finds, whatever the metadata say.
    private func checkRequest(_ address: WebAddress) throws(Finding) {
        let request = address.request(accepting: .json)
        var fields = FieldTable(capacity: 16)
        let limits = HeadParser.Limits(headBytes: 8_192, targetBytes: 4_096)
        guard
            case .complete(let line, let length) = HeadParser.parseRequest(request.span, into: &fields, limits: limits)
        else { throw Finding("what is asked is one request") }
        try require(length == request.count, "nothing follows the request")
        try require(
            Array(request[line.target]) == Array(address.target.utf8), "what is asked for is the target of the URL")
        try require(fields.count == 5, "the request has the fields that we write")
        try require(
            Array(request[fields[0].value]) == Array(address.authority.utf8), "Host names the authority of the URL")
    }
}
