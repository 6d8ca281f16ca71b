import Foundation

/// A JWS or JWE, the keys that it is to be judged with, and what its authors expect.
package struct TokenVector: Sendable, CustomStringConvertible {
    /// Without `.json`.
    package let file: String
    /// A number; in the cookbook the name of the serialisation.
    package let id: String
    package let comment: String
    package let isValid: Bool
    package let isEncrypted: Bool
    /// What its authors file it under.
    package let flags: [String]
    /// JWKs, each as JSON; the public ones where there are both.
    package let keys: [String]
    /// The compact serialisation, or the JSON text of another one.
    package let token: String
    /// The payload before it was encoded, where it is told: it may be missing from the token.
    package let payload: String?

    package var description: String { "\(file) \(id) (\(comment))" }

    package static func all() throws -> [TokenVector] {
        try wycheproof() + ThirdParty.names(in: "cookbook").flatMap { try cookbook($0) }
    }

    private static func wycheproof() throws -> [TokenVector] {
        try ThirdParty.names(in: "wycheproof").flatMap { name in
            let file = try ThirdParty.json("wycheproof/\(name)")
            var vectors: [TokenVector] = []
            for group in file["testGroups"] as? [[String: Any]] ?? [] {
                let keys = try keys(group["public"] ?? group["private"])
                for test in group["tests"] as? [[String: Any]] ?? [] {
                    guard let id = test["tcId"] as? Int, let result = test["result"] as? String,
                        ["valid", "invalid"].contains(result), let token = test["jws"] ?? test["jwe"]
                    else { throw ThirdParty.Fault(text: "\(name) has a test that cannot be read") }
                    vectors.append(
                        TokenVector(
                            file: String(name.dropLast(5)), id: "\(id)", comment: test["comment"] as? String ?? "",
                            isValid: result == "valid", isEncrypted: test["jwe"] != nil,
                            flags: test["flags"] as? [String] ?? [], keys: keys,
                            token: try token as? String ?? ThirdParty.text(token), payload: nil))
                }
            }
            guard vectors.count == file["numberOfTests"] as? Int else {
                throw ThirdParty.Fault(text: "\(name) says that it has another number of tests")
            }
            return vectors
        }
    }

    /// A key, or a set of keys.
    private static func keys(_ value: Any?) throws -> [String] {
        guard let value = value as? [String: Any] else { throw ThirdParty.Fault(text: "a group has no key") }
        return try (value["keys"] as? [[String: Any]] ?? [value]).map { try ThirdParty.text($0) }
    }

    /// All serialisations of one example are vectors, and all are valid.
    private static func cookbook(_ name: String) throws -> [TokenVector] {
        let file = try ThirdParty.json("cookbook/\(name)")
        guard let input = file["input"] as? [String: Any], let output = file["output"] as? [String: Any],
            let key = input["key"]
        else { throw ThirdParty.Fault(text: "\(name) has no input, key or output") }
        let keys = try (key as? [Any] ?? [key]).map { try ThirdParty.text($0) }
        return try output.sorted { $0.key < $1.key }.map { form, token in
            TokenVector(
                file: String(name.dropLast(5)), id: form, comment: file["title"] as? String ?? "", isValid: true,
                isEncrypted: false, flags: [], keys: keys, token: try token as? String ?? ThirdParty.text(token),
                payload: input["payload"] as? String)
        }
    }
}
