import Foundation
import TestSupport
import Testing

/// `infra/enclave/image.lock` and the manifest say the same of what the worker links.
@Suite struct LockTests {
  @Test func theLockHasEveryExactPackageOfTheManifestAtItsVersion() throws {
    let lock = try String(contentsOf: Checkout.root.appending(path: "infra/enclave/image.lock"), encoding: .utf8)
    let manifest = try String(contentsOf: Checkout.root.appending(path: "Package.swift"), encoding: .utf8)
    let exact = manifest.matches(of: /\/([a-z0-9-]+)", exact: "([0-9.]+)"/).map { "\($0.output.1) \($0.output.2)" }
    #expect(exact.count == 4)
    for package in exact { #expect(lock.contains("\npackage \(package)\n"), "\(package)") }
    // What these bring with them is pinned too, and the toolchain and the sources by digests.
    let kinds = lock.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ") }
    #expect(kinds.filter { $0[0] == "package" }.count > exact.count)
    for kind in ["toolchain", "debian", "source"] {
      let rows = kinds.filter { $0[0] == kind }
      #expect(!rows.isEmpty && rows.allSatisfy { $0.last?.count == 64 }, "\(kind)")
    }
  }
}
