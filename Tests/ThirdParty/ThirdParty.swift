import Foundation

/// Vectors of C2SP/wycheproof and of the JOSE cookbook (RFC 7520, RFC 7797, RFC 8037). They are no part of the
/// repository: they are read from `shared/conformance/data` beside it, or from where `THIRD_PARTY_VECTORS` says.
package enum ThirdParty {
    private static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        .joined(separator: "/")

    private static let folder =
        ProcessInfo.processInfo.environment["THIRD_PARTY_VECTORS"] ?? "\(root)/../shared/conformance/data"

    /// There is something beside the repository. Whatever of the vectors is then missing is a fault.
    package static let isThere =
        ProcessInfo.processInfo.environment["THIRD_PARTY_VECTORS"] != nil
        || FileManager.default.fileExists(atPath: "\(root)/../shared")

    static func json(_ name: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
        guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw Fault(text: "\(name) is no JSON object")
        }
        return object
    }

    /// The names of a folder's vectors, in order.
    static func names(in name: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)").filter { $0.hasSuffix(".json") }
            .sorted()
    }

    static func text(_ object: Any) throws -> String {
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self)
    }

    package struct Fault: Error, CustomStringConvertible {
        let text: String
        package var description: String { text }
    }

    /// A page of `docs`, from the repository.
    package static func page(_ name: String) throws -> String {
        try String(contentsOfFile: "\(root)/docs/\(name)", encoding: .utf8)
    }
}
