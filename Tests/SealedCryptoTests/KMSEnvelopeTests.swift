import Foundation
import Testing

@testable import SealedCrypto

/// `Tests/Vectors/cms` was made by the OpenSSL command line (its README says how); OpenSSL is the other side here.
struct KMSEnvelopeTests {
  static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Vectors/cms")

  static func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: directory.appendingPathComponent(name)))
  }

  static func key() throws -> KMSRecipientKey {
    try KMSRecipientKey(pem: String(decoding: try bytes("key.pem"), as: UTF8.self))
  }

  static let dataKey = (0..<32).map { UInt8($0) }

  @Test(
    "Opens what OpenSSL made, with indefinite lengths and several OCTET STRINGs, and with definite ones",
    arguments: ["streamed.ber", "definite.der"])
  func opens(name: String) throws {
    let opened = try KMSEnvelope.open(try Self.bytes(name), with: try Self.key())
    #expect(opened.withUnsafeBytes { Array($0) } == Self.dataKey)
  }

  @Test("Refuses an envelope made for another key")
  func wrongKey() throws {
    #expect(throws: KMSEnvelopeError.self) {
      try KMSEnvelope.open(try Self.bytes("streamed.ber"), with: try KMSRecipientKey())
    }
  }

  @Test(
    "Refuses every other algorithm, recipient kind and form",
    arguments: ["aes128.ber", "pkcs1v15.ber", "oaep-sha1.ber", "issuer-serial.ber", "two-recipients.ber", "signed.ber"])
  func otherForms(name: String) throws {
    #expect(throws: KMSEnvelopeError.self) { try KMSEnvelope.open(try Self.bytes(name), with: try Self.key()) }
  }

  @Test(
    "No flipped byte and no truncation makes it trap, and none but a ciphertext's opens", arguments: [0x01, 0x80, 0xFF])
  func malformed(mask: Int) throws {
    let whole = try Self.bytes("streamed.ber")
    let key = try Self.key()
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= UInt8(mask)
      // The envelope has no MAC: a changed IV or key identifier opens, to another or the same key. That it cannot be
      // told apart is why TLS ends in the enclave.
      _ = try? KMSEnvelope.open(bytes, with: key)
      if mask == 0xFF { #expect(throws: (any Error).self) { try KMSEnvelope.open(Array(whole[..<index]), with: key) } }
    }
    #expect(throws: KMSEnvelopeError.self) { try KMSEnvelope.open(whole + [0], with: key) }
    #expect(throws: KMSEnvelopeError.self) {
      try KMSEnvelope.open([UInt8](repeating: 0x30, count: KMSEnvelope.maximumBytes + 1), with: key)
    }
    let nested = [UInt8]((0..<8000).flatMap { _ in [0x30, 0x80] })
    #expect(throws: KMSEnvelopeError.self) { try KMSEnvelope.open(nested, with: key) }
  }
}
