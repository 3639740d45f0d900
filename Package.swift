// swift-tools-version: 6.1
import PackageDescription

// The enclave's dependencies are Crypto, CryptoExtras, SwiftASN1, NIO, NIOSSL and libsodium; everything else stays on
// the host's and the client's side. Tests/TidyTests holds the imports to the table of docs/architecture.md.
let crypto: [Target.Dependency] = [
  .product(name: "Crypto", package: "swift-crypto"), .product(name: "CryptoExtras", package: "swift-crypto"),
]
let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
/// SQLite's own calls too: the backup in steps is not in GRDB.
let grdb: [Target.Dependency] = [
  .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
]
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// The commit that `--version` shows: the Makefile puts scripts/commit.sh's words into the environment. Without them the
/// program says "unknown". Only CBuildInfo's one file sees it, so another commit compiles nothing else.
let buildInfo: [CSetting] = zip(
  ["BUILD_COMMIT", "BUILD_DATE"], (Context.environment["EPHEMERALML_COMMIT"] ?? "").split(separator: " ")
).compactMap { name, word in
  word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-".contains($0)) }
    ? .define(name, to: "\"\(word)\"") : nil
}

/// What decodes a peer's bytes.
let fuzzed: [Target.Dependency] =
  [
    "Wire", "SealedCrypto", "Inference", "EnclaveWorker", "Attestation", "ObjectStore", "Client",
    "EnclaveImage", "TestSupport",
  ] + crypto

let package = Package(
  name: "EphemeralML",
  products: [
    .executable(name: "ephemeral", targets: ["JobRunner"]),
    .executable(name: "enclave-worker", targets: ["EnclaveWorker"]),
    .executable(name: "devcloud", targets: ["DevCloud"]),
    .executable(name: "load", targets: ["Load"]),
    .executable(name: "bench-queue", targets: ["BenchQueue"]),
    .executable(name: "bench-embed", targets: ["BenchEmbed"]),
    .executable(name: "bench-generate", targets: ["BenchGenerate"]),
    .executable(name: "bench-tokenize", targets: ["BenchTokenize"]),
    .executable(name: "simulate", targets: ["simulate"]),
  ],
  dependencies: [
    // Exact: what the worker links. infra/enclave/image.lock has the versions of what these bring with them.
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
    // The host's and the client's.
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
  ],
  targets: [
    // C
    .target(name: "CBlas"),
    .target(name: "CPlatform"),
    .target(name: "CProcess"),
    .target(name: "CBuildInfo", cSettings: buildInfo),
    .target(name: "CHost"),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("crypto")]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // Both sides of the trust border
    .target(name: "Wire", dependencies: ["CPlatform"]),
    .target(
      name: "SealedCrypto", dependencies: ["Wire", "CSodium", "CPlatform", asn1] + crypto, path: "Sources/Crypto"),
    .target(name: "Inference", dependencies: ["CBlas"]),

    // The enclave
    .executableTarget(
      name: "EnclaveWorker", dependencies: ["Wire", "SealedCrypto", "Inference", "CPlatform", asn1] + crypto + nio),

    // Host and client
    .target(name: "Attestation", dependencies: ["Wire", "SealedCrypto", x509, asn1] + crypto),
    .target(name: "ObjectStore", dependencies: ["Wire", "SealedCrypto", "CCurl"] + crypto),
    .target(name: "Queue", dependencies: ["Wire", yams] + grdb),
    .target(
      name: "Client",
      dependencies: ["Wire", "SealedCrypto", "Attestation", "ObjectStore", "Inference", yams] + crypto),
    .target(
      name: "EnclaveImage",
      dependencies: ["Wire", "CZlib", asn1, .product(name: "Crypto", package: "swift-crypto")]),
    .executableTarget(
      name: "JobRunner",
      dependencies: [
        "Wire", "SealedCrypto", "Attestation", "Inference", "Queue", "ObjectStore", "Client", "EnclaveImage",
        "CProcess", "CPlatform", "CBuildInfo", "CHost", arguments, logging, yams,
        .product(name: "NIOTLS", package: "swift-nio"),
      ] + crypto + nio),
    .executableTarget(
      name: "DevCloud",
      dependencies: [
        "Wire", "SealedCrypto", "Attestation", "CPlatform", "COpenSSL", arguments, logging, x509, asn1,
        .product(name: "Hummingbird", package: "hummingbird"), .product(name: "HummingbirdTLS", package: "hummingbird"),
      ] + crypto + nio),

    // Tests
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .executableTarget(
      name: "Load", dependencies: ["Wire", "SealedCrypto", "ObjectStore", "TestSupport", arguments] + crypto,
      path: "Tests/Load"),
    .executableTarget(name: "BenchQueue", dependencies: ["Queue", "Wire"], path: "Tests/Benchmarks/Queue"),
    .executableTarget(name: "BenchEmbed", dependencies: ["Inference", "CBlas"], path: "Tests/Benchmarks/Embed"),
    .executableTarget(name: "BenchGenerate", dependencies: ["Inference"], path: "Tests/Benchmarks/Generate"),
    .executableTarget(name: "BenchTokenize", dependencies: ["Inference"], path: "Tests/Benchmarks/Tokenize"),
    .target(
      name: "CSimulatedDisk", path: "Tests/Simulator/CSimulatedDisk", linkerSettings: [.linkedLibrary("sqlite3")]),
    .target(name: "Simulator", dependencies: ["Queue", "Wire", "CSimulatedDisk"], path: "Tests/Simulator/World"),
    .executableTarget(name: "simulate", dependencies: ["Simulator"], path: "Tests/Simulator/Command"),
    .testTarget(name: "WireTests", dependencies: ["Wire", "TestSupport"]),
    .testTarget(name: "SealedCryptoTests", dependencies: ["SealedCrypto", "Wire", "TestSupport", asn1] + crypto),
    .testTarget(
      name: "AttestationTests",
      dependencies: ["Attestation", "SealedCrypto", "Wire", "TestSupport", x509, asn1] + crypto),
    .testTarget(name: "InferenceTests", dependencies: ["Inference", "CBlas", "TestSupport"]),
    .testTarget(
      name: "QueueTests",
      dependencies: ["Queue", "Simulator", "Wire", "TestSupport", .product(name: "GRDB", package: "GRDB.swift")]),
    .testTarget(
      name: "ObjectStoreTests", dependencies: ["ObjectStore", "SealedCrypto", "Wire", "TestSupport"] + crypto),
    .testTarget(
      name: "EnclaveWorkerTests",
      dependencies: ["EnclaveWorker", "SealedCrypto", "Inference", "Wire", "CPlatform", "TestSupport", asn1, x509]
        + crypto + nio),
    .testTarget(
      name: "DevCloudTests",
      dependencies: [
        "DevCloud", "Attestation", "SealedCrypto", "Wire", "CPlatform", "TestSupport", x509, logging, asn1,
      ] + crypto + nio),
    .testTarget(
      name: "ClientTests",
      dependencies: [
        "Client", "JobRunner", "Attestation", "ObjectStore", "SealedCrypto", "Inference", "Wire", "TestSupport", x509,
        asn1, arguments,
      ] + crypto),
    .testTarget(
      name: "EnclaveImageTests",
      dependencies: ["EnclaveImage", "Wire", "TestSupport", asn1, .product(name: "Crypto", package: "swift-crypto")]),
    .testTarget(
      name: "JobRunnerTests",
      dependencies: ["JobRunner", "ObjectStore", "SealedCrypto", "Wire", "TestSupport", logging] + crypto),
    .testTarget(
      name: "DaemonTests",
      dependencies: ["JobRunner", "Queue", "ObjectStore", "SealedCrypto", "Wire", "TestSupport", logging] + crypto),
    .testTarget(
      name: "MetricsTests",
      dependencies: ["JobRunner", "Queue", "ObjectStore", "Wire", "TestSupport", logging] + crypto),
    .testTarget(
      name: "HostileHostTests",
      dependencies: [
        "Client", "JobRunner", "Attestation", "ObjectStore", "SealedCrypto", "Wire", "TestSupport", logging,
      ] + crypto),
    .testTarget(name: "EndToEndTests", dependencies: ["TestSupport"]),
    .testTarget(
      name: "KeyPolicyTests",
      dependencies: ["Client", "JobRunner", "DevCloud", "SealedCrypto", "Wire", "TestSupport", arguments] + crypto),
    .testTarget(
      name: "EnclaveTests", dependencies: ["JobRunner", "Wire", "TestSupport", logging], exclude: ["Probe"]),
    .testTarget(name: "InstallTests", dependencies: ["TestSupport"]),
    .testTarget(name: "TidyTests", dependencies: ["TestSupport"]),
    .testTarget(
      name: "FuzzTests", dependencies: fuzzed, path: "Tests/Fuzzers", exclude: ["CFuzzer", "Driver"]),
  ],
  swiftLanguageModes: [.v6]
)

// `make fuzz` alone names libFuzzer's archive: then the same targets are built with its probes and the address
// sanitizer, into one more program. Without that the fuzzers' program is no part of the package.
if let runtime = Context.environment["FUZZER_RUNTIME"] {
  let probes: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer,address"])]
  // A program cannot be part of another: of the worker everything but its entry is taken.
  let worker = package.targets.first { $0.name == "EnclaveWorker" }
  package.targets.removeAll { $0.type == .test || $0.name == "EnclaveWorker" }
  package.targets.append(
    .target(name: "EnclaveWorker", dependencies: worker?.dependencies ?? [], exclude: ["main.swift"]))
  let probed = [
    "Wire", "SealedCrypto", "Inference", "EnclaveWorker", "Attestation", "ObjectStore", "Client", "EnclaveImage",
  ]
  for target in package.targets where probed.contains(target.name) { target.swiftSettings = probes }
  package.products = []
  package.targets.removeAll {
    ["JobRunner", "DevCloud", "Load", "BenchQueue", "BenchEmbed", "BenchGenerate", "BenchTokenize"].contains($0.name)
  }
  package.targets += [
    .target(name: "CFuzzer", path: "Tests/Fuzzers/CFuzzer"),
    .executableTarget(
      name: "fuzz", dependencies: fuzzed + ["CFuzzer"], path: "Tests/Fuzzers",
      exclude: ["CFuzzer", "CorpusTests.swift"],
      swiftSettings: probes,
      linkerSettings: [.unsafeFlags(["-sanitize=address", runtime]), .linkedLibrary("stdc++")]),
  ]
}
