import Testing

@testable import SealedCrypto

/// The recipients that each container may have (protocol §3).
@Suite struct AgeRoleTests {
  private let hybrid: HybridRecipient
  private let kms: KMSStanzaRecipient
  private let grease = Grease()

  /// A stanza of a kind that nobody knows.
  private struct Grease: AgeRecipient {
    func wrap(_ fileKey: SecretBytes) -> AgeStanza { AgeStanza(type: "grease", arguments: [], body: []) }
  }

  init() throws {
    hybrid = try HybridIdentity.generate().recipient
    kms = try KMSStanzaRecipient(
      keyARN: "arn:aws:kms:us-east-1:111122223333:key/1", ciphertextBlob: [1], dataKey: .random(count: 32))
  }

  private func refuses(_ role: ContainerRole, _ recipients: [any AgeRecipient]) throws -> Bool {
    let header = try AgeHeader(startOf: AgeFiles.seal([], to: recipients))
    do {
      try role.check(header)
      return false
    } catch let error as AgeError {
      #expect(error.kind == .role)
      return true
    }
  }

  @Test func aBundleHasExactlyOneHybridStanza() throws {
    #expect(try !refuses(.bundle, [hybrid]))
    for recipients: [any AgeRecipient] in [[hybrid, hybrid], [kms], [hybrid, kms], [hybrid, grease], [grease]] {
      #expect(try refuses(.bundle, recipients))
    }
  }

  @Test func aResultHasOneHybridStanzaForEachRecipient() throws {
    #expect(try !refuses(.result(recipientCount: 1), [hybrid]))
    #expect(try !refuses(.result(recipientCount: 2), [hybrid, hybrid]))
    #expect(try !refuses(.result(recipientCount: nil), [hybrid, hybrid, hybrid]))
    #expect(try refuses(.result(recipientCount: 2), [hybrid]))
    #expect(try refuses(.result(recipientCount: 1), [hybrid, hybrid]))
    #expect(try refuses(.result(recipientCount: 2), [hybrid, grease]))
    #expect(try refuses(.result(recipientCount: nil), [hybrid, kms]))
  }

  @Test(arguments: [ContainerRole.epochSeed, .modelFile])
  func seedAndModelHaveExactlyOneKMSStanza(role: ContainerRole) throws {
    #expect(try !refuses(role, [kms]))
    for recipients: [any AgeRecipient] in [[kms, kms], [hybrid], [kms, hybrid], [kms, grease]] {
      #expect(try refuses(role, recipients))
    }
  }

  @Test func theRoleIsCheckedBeforeAnyKeyIsUsed() throws {
    struct Asked: Error {}
    let file = try AgeFiles.seal([], to: [kms, grease])
    let identity = KMSStanzaIdentity(expectedKeyARN: kms.keyARN) { _ in throw Asked() }
    #expect(try AgeFiles.refusal(of: file, [identity], role: .epochSeed) == .role)
    #expect(throws: Asked.self) { try AgeFiles.open(file, [identity]) }
  }

  @Test(arguments: [
    "", "arn:aws:kms:us-east-1:111122223333:alias/x", "arn:aws:kms:us-east-1:111122223333:key/",
    "arn:aws:kms:us-east-1:11112222333:key/1", "arn:aws:kms::111122223333:key/1", "arn:aws:s3:r:111122223333:key/1",
    "arn:aws:kms:us-east-1:111122223333:key/1/2", "arn:aws:kms:us-east-1:111122223333:key/1\n", "key/1",
    "arn:aws:kms:us-east-1:111122223333:key/1:2",
    "arn:aws:kms:us-east-1:111122223333:key/" + String(repeating: "1", count: 2048),
  ])
  func whatIsNoFullKeyARNIsRefused(text: String) {
    #expect(!KMSStanza.isKeyARN(text))
    #expect(throws: AgeError.self) {
      try KMSStanzaRecipient(keyARN: text, ciphertextBlob: [1], dataKey: .random(count: 32))
    }
  }

  @Test func aKMSRecipientBoundsItsParts() throws {
    let arn = kms.keyARN
    let key = try SecretBytes.random(count: 32)
    for blob in [[], [UInt8](repeating: 0, count: 6145)] {
      #expect(throws: AgeError.self) { try KMSStanzaRecipient(keyARN: arn, ciphertextBlob: blob, dataKey: key) }
    }
    #expect(throws: AgeError.self) {
      try KMSStanzaRecipient(keyARN: arn, ciphertextBlob: [1], dataKey: .random(count: 16))
    }
    let largest = try KMSStanzaRecipient(keyARN: arn, ciphertextBlob: [UInt8](repeating: 0, count: 6144), dataKey: key)
    #expect(throws: AgeError.self, "a header over 64 KiB") {
      try AgeFiles.seal([], to: [any AgeRecipient](repeating: largest, count: 8))
    }
  }
}
