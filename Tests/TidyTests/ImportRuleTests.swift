import Foundation
import TestSupport
import Testing

/// Who may import whom: the borders between trust domains, as docs/architecture.md draws them.
@Suite struct ImportRuleTests {
  /// Direct dependencies that each target may have, of this package and of others.
  static let allowed: [String: Set<String>] = [
    "CBlas": [], "CPlatform": [], "CProcess": [], "CBuildInfo": [], "CHost": [], "CSodium": [], "CCurl": [],
    "COpenSSL": [],
    "CZlib": [],
    "Wire": ["CPlatform"],
    "SealedCrypto": ["Wire", "CSodium", "CPlatform", "Crypto", "CryptoExtras", "SwiftASN1"],
    "Inference": ["CBlas"],
    "EnclaveWorker": [
      "Wire", "SealedCrypto", "Inference", "CPlatform", "Crypto", "CryptoExtras", "SwiftASN1", "NIOCore", "NIOPosix",
      "NIOHTTP1", "NIOSSL",
    ],
    "Attestation": ["Wire", "SealedCrypto", "X509", "SwiftASN1", "Crypto", "CryptoExtras"],
    "ObjectStore": ["Wire", "SealedCrypto", "CCurl", "Crypto", "CryptoExtras"],
    "Queue": ["Wire", "GRDB", "GRDBSQLite", "Yams"],
    "Client": ["Wire", "SealedCrypto", "Attestation", "ObjectStore", "Inference", "Yams", "Crypto", "CryptoExtras"],
    "EnclaveImage": ["Wire", "CZlib", "SwiftASN1", "Crypto"],
    "JobRunner": [
      "Wire", "SealedCrypto", "Attestation", "Inference", "Queue", "ObjectStore", "Client", "EnclaveImage",
      "CProcess", "CPlatform", "CBuildInfo", "CHost", "ArgumentParser", "Logging", "Yams", "Crypto", "CryptoExtras",
      "NIOCore", "NIOPosix", "NIOHTTP1", "NIOSSL", "NIOTLS",
    ],
    // A measuring program under Tests: the daemon's other side, so it may use no part of the daemon itself.
    "Load": ["Wire", "SealedCrypto", "ObjectStore", "TestSupport", "ArgumentParser", "Crypto", "CryptoExtras"],
    // Measures the queue alone.
    "BenchQueue": ["Queue", "Wire"],
    // Measures the encoder alone, and its kernels.
    "BenchEmbed": ["Inference", "CBlas"],
    "BenchGenerate": ["Inference"], "BenchTokenize": ["Inference"],
    "DevCloud": [
      "Wire", "SealedCrypto", "Attestation", "CPlatform", "COpenSSL", "ArgumentParser", "Logging", "X509",
      "SwiftASN1", "Hummingbird", "HummingbirdTLS", "Crypto", "CryptoExtras", "NIOCore", "NIOPosix", "NIOHTTP1",
      "NIOSSL",
    ],
    "CSimulatedDisk": [], "Simulator": ["Queue", "Wire", "CSimulatedDisk"], "simulate": ["Simulator"],
  ]

  /// The package as SwiftPM describes it; the Makefile writes it, since asking inside a test waits for the build's lock.
  static let described = Need("package-description", remedy: "`make test` writes .build/package.json") {
    Checkout.existing(".build/package.json")
  }

  @Test(.enabled(if: described.isMet, "\(described.comment)"))
  func everyTargetDependsOnlyOnWhatItsTrustDomainAllows() throws {
    struct Package: Decodable {
      struct Target: Decodable {
        let name: String
        let type: String
        let target_dependencies: [String]?
        let product_dependencies: [String]?
      }
      let targets: [Target]
    }
    let package = try JSONDecoder().decode(Package.self, from: Data(contentsOf: Self.described.require()))
    for target in package.targets where target.type != "test" && target.name != "TestSupport" {
      let allowed = try #require(Self.allowed[target.name], "\(target.name) has no rule")
      let used = Set((target.target_dependencies ?? []) + (target.product_dependencies ?? []))
      #expect(used.isSubset(of: allowed), "\(target.name) depends on \(used.subtracting(allowed).sorted())")
    }
  }

  @Test func theEnclaveImportsNeitherFoundationNorX509() throws {
    for folder in ["Wire", "Crypto", "Inference", "EnclaveWorker"] {
      for file in try SourceTree.files(under: "Sources/\(folder)", suffix: ".swift") {
        let text = try String(contentsOf: file, encoding: .utf8)
        for line in text.split(separator: "\n") where line.contains("import ") {
          let words = line.split(separator: " ")
          guard let at = words.firstIndex(of: "import"), at + 1 < words.count else { continue }
          let banned = ["Foundation", "X509", "GRDB", "Queue", "ObjectStore", "Client", "Logging", "ArgumentParser"]
          #expect(!banned.contains(String(words[at + 1])), "\(file.lastPathComponent): \(line)")
        }
      }
    }
  }
}
