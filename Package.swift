// swift-tools-version: 6.2
import PackageDescription

/// The archive of libFuzzer's runtime, when fuzzers are built: `scripts/fuzz` knows where it is. All code is then compiled
/// to tell the fuzzer what it does.
let fuzzerRuntime = Context.environment["FUZZER_RUNTIME"]

/// `GATEWAY_CHECKED=1` makes an optimised build with everything that a debug build checks, for the unit tests too: what runs
/// under sanitizers and is fuzzed (scripts/sanitize).
let isChecked = Context.environment["GATEWAY_CHECKED"] == "1"

/// Every change of an object's variable is checked at run time for another access under way: a fifth of a request's
/// instructions. Debug builds check, and with them the unit tests, and so do checked ones (docs/decisions/data-path.md).
let checks: [String] =
    isChecked
    ? ["-enforce-exclusivity=checked", "-enable-testing", "-assert-config", "Debug"]
    : ["-enforce-exclusivity=unchecked"]

/// What all code is compiled with, that of tests too.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .unsafeFlags(checks, .when(configuration: .release)),
]
let fuzzed: [SwiftSetting] = fuzzerRuntime == nil ? strict : strict + [.unsafeFlags(["-sanitize=fuzzer"])]

/// A target of the gateway. `uses` names what stands below it; the list in docs/architecture.md is the same.
func layer(_ name: String, uses: [String]) -> Target {
    .target(name: name, dependencies: uses.map { .byName(name: $0) }, swiftSettings: fuzzed)
}

func tests(of name: String, uses: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: ([name] + uses).map { .byName(name: $0) }, swiftSettings: strict)
}

let package = Package(
    name: "gateway",
    products: [.executable(name: "gateway", targets: ["gateway"])],
    targets: [
        .systemLibrary(name: "CLibevent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        // No pkgConfig: hiredis' own .pc file carries a flag that SwiftPM refuses.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),

        layer("Wire", uses: []),
        layer("Crypto", uses: ["COpenSSL"]),
        layer("Settings", uses: ["CYAML", "Wire"]),
        layer("Policy", uses: ["Wire", "Settings", "Crypto"]),
        layer("Telemetry", uses: ["Wire"]),
        layer("Transport", uses: ["CLibevent", "COpenSSL", "Wire"]),
        layer("Ledger", uses: ["CHiredis", "Transport", "Policy", "Settings", "Wire"]),
        layer(
            "GatewayCore", uses: ["Wire", "Crypto", "Settings", "Policy", "Telemetry", "Transport", "Ledger"]),
        .executableTarget(
            name: "gateway", dependencies: ["GatewayCore", "Settings", "Wire"], swiftSettings: fuzzed),

        tests(of: "Wire"),
        tests(of: "Crypto", uses: ["TestSupport", "ThirdParty"]),
        tests(of: "Settings", uses: ["Wire"]),
        tests(of: "Policy", uses: ["Wire", "Settings", "Crypto", "TestSupport", "ThirdParty"]),
        tests(of: "Telemetry", uses: ["Wire"]),
        tests(of: "Transport", uses: ["Wire"]),
        tests(of: "Ledger", uses: ["Wire", "Settings", "Policy", "Transport", "TestSupport"]),
        tests(
            of: "GatewayCore",
            uses: ["Wire", "Crypto", "Settings", "Policy", "Telemetry", "Transport", "Ledger", "TestSupport"]),
        tests(of: "gateway", uses: ["GatewayCore", "Settings", "Wire"]),

        .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
        .target(name: "ThirdParty", path: "Tests/ThirdParty", swiftSettings: strict),
        .target(
            name: "FuzzTargets", dependencies: ["GatewayCore", "Policy", "Settings", "Crypto", "Wire", "TestSupport"],
            path: "Tests/Fuzzing/Targets", swiftSettings: fuzzed),
        .testTarget(name: "FuzzingTests", dependencies: ["FuzzTargets", "Settings"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

/// `GATEWAY_ORACLE=1` reads requests beside NIOHTTP1 in the tests of the policy (docs/conformance.md). Only then the package
/// depends on anything: who builds the gateway fetches nothing.
if let tests = package.targets.first(where: { $0.name == "PolicyTests" }) {
    if Context.environment["GATEWAY_ORACLE"] == "1" {
        package.dependencies.append(.package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"))
        tests.dependencies += ["NIOCore", "NIOEmbedded", "NIOHTTP1"].map { .product(name: $0, package: "swift-nio") }
    } else {
        tests.exclude.append("Oracle")
    }
}

if let fuzzerRuntime {
    // Whole, because nothing but the instrumented code refers to it.
    let runtime: [LinkerSetting] = [
        .unsafeFlags(["-Xlinker", "--whole-archive", fuzzerRuntime, "-Xlinker", "--no-whole-archive", "-lstdc++"])
    ]
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/Fuzzing/CLibFuzzer"),
        .executableTarget(
            name: "fuzz", dependencies: ["FuzzTargets", "CLibFuzzer"], path: "Tests/Fuzzing/Driver",
            swiftSettings: fuzzed, linkerSettings: runtime),
    ]
    package.products.append(.executable(name: "fuzz", targets: ["fuzz"]))
}
