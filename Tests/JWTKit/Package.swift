// swift-tools-version: 6.2
import PackageDescription

/// A package of its own: JWTKit builds on a module called Crypto, and the gateway has another one of that name.
/// `scripts/mint-jwtkit` builds it; whoever builds the gateway fetches nothing.
let package = Package(
    name: "mint",
    platforms: [.macOS(.v13)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
        .package(url: "https://github.com/vapor/jwt-kit.git", exact: "5.7.1"),
    ],
    targets: [
        .executableTarget(
            name: "mint",
            dependencies: [
                .product(name: "CryptoExtras", package: "swift-crypto"), .product(name: "JWTKit", package: "jwt-kit"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
