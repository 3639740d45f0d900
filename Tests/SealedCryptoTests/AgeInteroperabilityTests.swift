import Foundation
import TestSupport
import Testing

@testable import SealedCrypto

/// Both directions with the stock program.
@Suite struct AgeInteroperabilityTests {
  private static let sizes = [0, 1, 65536, 65537, 1_000_000]

  private func run(_ program: String, _ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
    let folder = try Need.age.require().deletingLastPathComponent()
    return try AgeCommand.run(folder.appending(path: program).path, arguments, input: input)
  }

  private func withIdentityFile<Result>(_ text: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("age-identity-\(UUID().uuidString)")
    try #require(
      FileManager.default.createFile(
        atPath: file.path, contents: Data(text + [UInt8(ascii: "\n")]), attributes: [.posixPermissions: 0o600]))
    defer { try? FileManager.default.removeItem(at: file) }
    return try body(file.path)
  }

  @Test(.enabled(if: Need.age.isMet, "\(Need.age.comment)"), arguments: sizes)
  func theStockAgeOpensWhatWeSeal(size: Int) throws {
    let plaintext = AgeFiles.pattern(size)
    let identity = try HybridIdentity.generate()
    let other = try HybridIdentity.generate()
    let file = try AgeFiles.seal(plaintext, to: [other.recipient, identity.recipient])
    let opened = try withIdentityFile(identity.secretText()) { try run("age", ["-d", "-i", $0], input: file) }
    #expect(opened == plaintext)
  }

  @Test(.enabled(if: Need.age.isMet, "\(Need.age.comment)"), arguments: sizes)
  func weOpenWhatTheStockAgeSeals(size: Int) throws {
    let plaintext = AgeFiles.pattern(size)
    let identity = try HybridIdentity.generate()
    let file = try run("age", ["-r", identity.recipient.text], input: plaintext)
    #expect(try AgeFiles.open(file, [identity], role: .bundle) == plaintext)
  }

  @Test(.enabled(if: Need.age.isMet, "\(Need.age.comment)"))
  func keysOfTheStockKeygenAreReadAndDeriveTheSameRecipient() throws {
    let text = String(decoding: try run("age-keygen", ["-pq"]), as: UTF8.self)
    let lines = text.split(separator: "\n")
    let secret = try #require(lines.first { $0.hasPrefix("AGE-SECRET-KEY-PQ-1") })
    let published = try #require(lines.first { $0.contains("age1pq1") }?.split(separator: " ").last)
    let identity = try HybridIdentity(String(secret))
    #expect(identity.recipient.text == published)
    #expect(identity.secretText() == Array(secret.utf8))
    #expect(try HybridRecipient(String(published)) == identity.recipient)
  }

  @Test(.enabled(if: Need.age.isMet, "\(Need.age.comment)"))
  func theStockKeygenDerivesOurRecipient() throws {
    let identity = try HybridIdentity.generate()
    let recipient = try withIdentityFile(identity.secretText()) { try run("age-keygen", ["-y", $0]) }
    #expect(String(decoding: recipient, as: UTF8.self) == identity.recipient.text + "\n")
  }

  @Test(.enabled(if: Need.age.isMet, "\(Need.age.comment)"))
  func theStockAgeRefusesWhatWeTruncate() throws {
    let identity = try HybridIdentity.generate()
    let file = try AgeFiles.seal(AgeFiles.pattern(200_000), to: [identity.recipient])
    #expect(throws: AgeCommand.Failed.self) {
      try withIdentityFile(identity.secretText()) {
        try run("age", ["-d", "-i", $0], input: Array(file.dropLast(3200)))
      }
    }
  }
}
