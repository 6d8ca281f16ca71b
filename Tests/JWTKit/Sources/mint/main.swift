import CryptoExtras
import Foundation
import JWTKit

/// Prints what `MintedToken` reads: two lists of tokens, each with keys of its own, made for this run.
let houses = [try await House().minted(), try await House().minted()]
let encoder = JSONEncoder()
encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes]
print(String(decoding: try encoder.encode(houses), as: UTF8.self))
