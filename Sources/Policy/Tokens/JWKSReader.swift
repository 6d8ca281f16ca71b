internal import Crypto

/// Reads a JWK Set (RFC 7517 §5). One bad or unknown key never spoils the others; it is left out and reported.
/// Members that point elsewhere (`x5u`, and `x5c`, `jku`) are not read at all.
enum JWKSReader {
    private struct Members {
        let plan: ClaimPlan
        let kty, crv, n, e, x, y, k, alg, use, operations, kid: Int

        init() {
            var plan = ClaimPlan()
            kty = plan.member("kty")
            crv = plan.member("crv")
            n = plan.member("n")
            e = plan.member("e")
            x = plan.member("x")
            y = plan.member("y")
            k = plan.member("k")
            alg = plan.member("alg")
            use = plan.member("use")
            operations = plan.member("key_ops")
            kid = plan.member("kid")
            self.plan = plan
        }
    }

    private struct Skip: Error {
        let why: String
    }

    /// - Parameters:
    ///   - source: the id of the setting.
    ///   - issuer: whom alone the keys are for; nil: anybody.
    ///   - isFetched: others can fetch the set, too, so a secret in it is none (RFC 7517 §9.2).
    static func keys(
        in text: [UInt8], of source: String, issuer: String? = nil, isFetched: Bool = false,
        _ problems: inout [KeyProblem]
    ) -> [KeySet.Key] {
        var plan = ClaimPlan()
        let list = plan.member("keys")
        // Escapes stay as they are in this pass: each key is read again by itself.
        var outer = ClaimScanner(capacity: text.count, unescapes: false)
        guard outer.scan(json: text.span, plan) else {
            problems.append(KeyProblem(.unusable, source, "the JWKS is not a strict JSON object"))
            return []
        }
        let members = Members()
        let value = outer.value(list)
        guard value.kind == .list else {
            problems.append(KeyProblem(.unusable, source, "the JWKS has no list \"keys\""))
            return []
        }
        var keys: [KeySet.Key] = []
        var inner = ClaimScanner(capacity: text.count)
        for index in 0..<value.end - value.start {
            let place = "\(source)/#\(index + 1)"
            guard index < KeySet.maximumKeysOfJWKS else {
                problems.append(KeyProblem(.skipped, place, "this key and all behind it are too many"))
                break
            }
            let element = outer.element(index, of: value)
            guard element.kind == .object, inner.scan(json: outer.text(element), members.plan) else {
                problems.append(KeyProblem(.skipped, place, "it is not a JSON object"))
                continue
            }
            let kid = inner.string(members.kid)
            guard kid?.count ?? 0 <= 256 else {
                problems.append(KeyProblem(.skipped, place, "its kid is longer than 256 bytes"))
                continue
            }
            var label = kid.map { "\(source)/\(String(decoding: $0, as: UTF8.self))" } ?? place
            do throws(Skip) {
                let (material, algorithms) = try key(inner, members)
                // What is said of it by its name must not be another one's when the set changes.
                if kid == nil { label = "\(source)/#\(material.fingerprint)" }
                if isFetched, material.kind == .secret { throw Skip(why: "a secret that is fetched is none") }
                keys.append(
                    KeySet.Key(
                        label: label, source: source, algorithms: algorithms, kid: kid, kidIsOptional: kid == nil,
                        isFromJWKS: true,
                        issuer: issuer.map { Array($0.utf8) }, material: material))
            } catch {
                problems.append(KeyProblem(.skipped, label, error.why))
            }
        }
        if keys.isEmpty { problems.append(KeyProblem(.unusable, source, "the JWKS has no usable key")) }
        return withoutSharedSecrets(keys, &problems)
    }

    /// A set with public keys in it is made to be given away, a file of it most likely a copy: whoever has it could sign.
    private static func withoutSharedSecrets(_ keys: [KeySet.Key], _ problems: inout [KeyProblem]) -> [KeySet.Key] {
        guard keys.contains(where: { $0.material.kind != .secret }) else { return keys }
        for key in keys where key.material.kind == .secret {
            let text = "a secret beside public keys is none; give it an entry of its own, or a set without public keys"
            problems.append(KeyProblem(.skipped, key.label, text))
        }
        return keys.filter { $0.material.kind != .secret }
    }

    private static func key(
        _ scanner: borrowing ClaimScanner, _ members: Members
    ) throws(Skip) -> (KeyMaterial, SignatureAlgorithms) {
        try refuseOtherUses(scanner, members)
        let material = try material(scanner, members)
        guard scanner.value(members.alg).kind != .absent else { return (material, material.algorithms) }
        guard let name = scanner.string(members.alg), let algorithm = SignatureAlgorithm(name: name.span) else {
            throw Skip(why: "its algorithm is not supported")
        }
        guard material.algorithms.contains(algorithm) else {
            throw Skip(why: KeyError.algorithmDoesNotFit(algorithm).description)
        }
        return (material, SignatureAlgorithms(algorithm))
    }

    /// RFC 7517 §4.2, §4.3: a key for encryption, or for anything but verifying, is not taken for signatures.
    private static func refuseOtherUses(_ scanner: borrowing ClaimScanner, _ members: Members) throws(Skip) {
        if scanner.value(members.use).kind != .absent, scanner.string(members.use) != Array("sig".utf8) {
            throw Skip(why: "its use is not sig")
        }
        let operations = scanner.value(members.operations)
        guard operations.kind != .absent else { return }
        if operations.kind == .list {
            for index in 0..<operations.end - operations.start {
                let element = scanner.element(index, of: operations)
                if element.kind == .string, scanner.copy(element) == Array("verify".utf8) { return }
            }
        }
        throw Skip(why: "its key_ops do not include verify")
    }

    private static func material(_ scanner: borrowing ClaimScanner, _ members: Members) throws(Skip) -> KeyMaterial {
        func bytes(_ slot: Int, _ name: String) throws(Skip) -> [UInt8] {
            guard let text = scanner.string(slot), let bytes = Base64URL.decode(text.span), !bytes.isEmpty else {
                throw Skip(why: "its member \(name) is missing or not base64url")
            }
            return bytes
        }
        let curve = scanner.string(members.crv).map { String(decoding: $0, as: UTF8.self) } ?? ""
        switch scanner.string(members.kty).map({ String(decoding: $0, as: UTF8.self) }) {
        case "RSA":
            let (n, e) = (try bytes(members.n, "n"), try bytes(members.e, "e"))
            return try checked { () throws(KeyError) in try KeyMaterial(rsaModulus: n, exponent: e) }
        case "EC":
            guard let curve = KeyMaterial.Curve(rawValue: curve) else {
                throw Skip(why: "its curve is not supported")
            }
            let (x, y) = (try bytes(members.x, "x"), try bytes(members.y, "y"))
            return try checked { () throws(KeyError) in try KeyMaterial(curve: curve, x: x, y: y) }
        case "OKP":
            guard let curve = KeyMaterial.EdwardsCurve(rawValue: curve) else {
                throw Skip(why: "its curve is not supported")
            }
            let x = try bytes(members.x, "x")
            return try checked { () throws(KeyError) in try KeyMaterial(edwards: curve, x: x) }
        case "oct":
            let k = try bytes(members.k, "k")
            return try checked { () throws(KeyError) in try KeyMaterial(secret: k) }
        default:
            throw Skip(why: "its kty is not supported")
        }
    }

    private static func checked(_ read: () throws(KeyError) -> KeyMaterial) throws(Skip) -> KeyMaterial {
        do throws(KeyError) { return try read() } catch { throw Skip(why: error.description) }
    }
}

extension ClaimScanner {
    /// A copy of a value's text.
    func copy(_ value: Value) -> [UInt8] {
        // Not with `unsafeUninitializedCapacity`: of nothing, it writes to the one empty array that all threads share.
        text(value).withUnsafeBufferPointer { Array($0) }
    }

    /// A copy of the string in `slot`; nil when it is absent or no string.
    func string(_ slot: Int) -> [UInt8]? {
        let value = value(slot)
        return value.kind == .string ? copy(value) : nil
    }
}
