import Crypto
import Testing
import Wire

@testable import SealedCrypto

/// Signed statements (protocol §1): exactly one form, one label, one signer, one version.
struct StatementTests {
  private let key: SigningKey
  private let own: VerifyingKey

  init() throws {
    key = try SigningKey.generate()
    own = key.verifyingKey
  }

  private var protected: [UInt8] { Self.protected(own.digest) }

  private static func protected(_ signer: ContentDigest) -> [UInt8] {
    CBOR.map([.init(.unsigned(1), .negative(7)), .init(.unsigned(4), .bytes(signer.bytes))]).encoded()
  }

  private var cancelPayload: [UInt8] {
    CBOR.object([("v", .unsigned(1))] + StatementSamples.cancel().fields).encoded()
  }

  /// A statement whose every part is the caller's, with a signature that fits it.
  private func forge(
    _ payload: [UInt8], label: [UInt8] = StatementKind.cancel.label, protected: [UInt8]? = nil,
    unprotected: [CBOR.Pair] = [], key: SigningKey? = nil
  ) throws -> [UInt8] {
    let protected = protected ?? self.protected
    let message = COSESign1.signedBytes(protected: protected, externalAAD: label, payload: payload)
    return COSESign1(
      protected: protected, unprotected: unprotected, payload: payload, signature: try (key ?? self.key).sign(message)
    ).encoded()
  }

  private func refusal<Claims: StatementClaims>(_ bytes: [UInt8], as claims: Claims.Type) -> String? {
    do {
      _ = try UnverifiedStatement<Claims>(bytes).verified(by: own)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func everyKindIsReadBackAsItWasSigned() throws {
    func check<Claims: StatementClaims & Equatable>(_ claims: Claims) throws {
      let signed = try Signed.sign(claims, with: key) { [0xD0] + $0 }
      let read = try UnverifiedStatement<Claims>(signed.bytes).verified(by: own)
      #expect(read.claims == claims)
      #expect(read.digest == SHA256.digest(of: signed.bytes))
      #expect(read.signer == own)
      #expect(try CBORDecoder.decode(read.payload).encoded() == read.payload)
    }
    try check(StatementSamples.policy(own))
    try check(StatementSamples.model())
    try check(StatementSamples.manifest())
    try check(StatementSamples.cancel())
    try check(StatementSamples.head())
    try check(StatementSamples.announcement(own))
    try check(StatementSamples.receipt(own))
    try check(StatementSamples.status(own))
  }

  @Test func labelsAreTheProtocols() {
    #expect(StatementKind.receipt.label == Array("ephemeralml/v1/receipt".utf8))
    #expect(Set(StatementKind.allCases.map(\.label)).count == 8)
    #expect(StatementKind.allCases.filter(\.isAttested) == [.announcement, .receipt, .status])
  }

  @Test func aSignatureUnderAnotherLabelIsRefused() throws {
    #expect(refusal(try forge(cancelPayload), as: CancelClaims.self) == nil)
    for kind in StatementKind.allCases where kind != .cancel {
      #expect(
        refusal(try forge(cancelPayload, label: kind.label), as: CancelClaims.self)
          == "cancel: the signature does not verify")
    }
    #expect(refusal(try forge(cancelPayload, label: []), as: CancelClaims.self) != nil)
  }

  @Test func aStatementIsOfNoOtherKind() throws {
    let bytes = try Signed.sign(StatementSamples.cancel(), with: key).bytes
    #expect(refusal(bytes, as: PolicyClaims.self) == "policy: the signature does not verify")
    #expect(refusal(bytes, as: ModelManifestClaims.self) == "model: the signature does not verify")
    #expect(refusal(bytes, as: JobManifestClaims.self) == "manifest: the signature does not verify")
    #expect(refusal(bytes, as: ReceiptClaims.self)?.contains("unprotected header") == true)
  }

  @Test func theProtectedHeaderIsExactlyAlgorithmAndKey() throws {
    let keyID = CBOR.Pair(.unsigned(4), .bytes(own.digest.bytes))
    let edDSA = CBOR.Pair(.unsigned(1), .negative(7))
    let wrong: [[CBOR.Pair]] = [
      [], [edDSA], [keyID], [.init(.unsigned(1), .negative(6)), keyID], [.init(.unsigned(1), .negative(34)), keyID],
      [.init(.unsigned(1), .text("EdDSA")), keyID], [edDSA, .init(.unsigned(4), .text("key"))],
      [edDSA, .init(.unsigned(4), .bytes([1]))], [edDSA, .init(.unsigned(3), .unsigned(0)), keyID],
      [edDSA, keyID, .init(.unsigned(2), .array([.unsigned(4)]))],
    ]
    for pairs in wrong {
      let bytes = try forge(cancelPayload, protected: CBOR.map(pairs).encoded())
      #expect(refusal(bytes, as: CancelClaims.self)?.contains("protected header") == true)
    }
    for raw: [UInt8] in [[], [0x80], [0xBF] + protected.dropFirst() + [0xFF], protected + [0]] {
      #expect(refusal(try forge(cancelPayload, protected: raw), as: CancelClaims.self) != nil)
    }
  }

  @Test func theUnprotectedHeaderIsEmptyOrTheDocument() throws {
    let document = CBOR.Pair(.text("attestation"), .bytes([1]))
    #expect(refusal(try forge(cancelPayload, unprotected: [document]), as: CancelClaims.self) != nil)
    let payload = CBOR.object([("v", .unsigned(1))] + StatementSamples.status(own).fields).encoded()
    func status(_ unprotected: [CBOR.Pair]) throws -> String? {
      refusal(try forge(payload, label: StatementKind.status.label, unprotected: unprotected), as: StatusClaims.self)
    }
    #expect(try status([document]) == nil)
    let large = CBOR.Pair(.text("attestation"), .bytes(Array(repeating: 0, count: Limits.attestationBytes + 1)))
    for wrong in [[], [document, .init(.text("z"), .null)], [.init(.text("attestation"), .null)], [large]] {
      #expect(try status(wrong)?.contains("unprotected header") == true)
    }
  }

  @Test func anotherSignerIsRefused() throws {
    let stranger = try SigningKey.generate()
    let bytes = try Signed.sign(StatementSamples.cancel(), with: stranger).bytes
    #expect(refusal(bytes, as: CancelClaims.self) == "cancel: signed by another key than the one required")
    // In this key's name.
    #expect(
      refusal(try forge(cancelPayload, key: stranger), as: CancelClaims.self)
        == "cancel: the signature does not verify")
    let statement = try UnverifiedStatement<CancelClaims>(bytes)
    #expect(try statement.verified(byOneOf: [own, stranger.verifyingKey]).signer == stranger.verifyingKey)
    #expect(throws: StatementError.wrongSigner(.cancel)) { try statement.verified(byOneOf: [own]) }
    #expect(throws: StatementError.wrongSigner(.cancel)) { try statement.verified(byOneOf: []) }
  }

  @Test func anAttestedStatementIsSignedByTheKeyThatItNames() throws {
    let stranger = try SigningKey.generate()
    let signed = try Signed.sign(StatementSamples.receipt(own), with: key) { _ in [7] }
    let unattested = try UnverifiedStatement<ReceiptClaims>(signed.bytes).signedByItsOwnKey()
    #expect(unattested.document == [7])
    let message = StatementKind.receipt.label + [0] + signed.payload
    #expect(unattested.binding == SHA256.digest(of: message).bytes)
    let lying = try Signed.sign(StatementSamples.receipt(own), with: stranger) { _ in [7] }
    #expect(throws: StatementError.wrongSigner(.receipt)) {
      try UnverifiedStatement<ReceiptClaims>(lying.bytes).signedByItsOwnKey()
    }
    #expect(throws: StatementError.self) { try Signed.sign(StatementSamples.receipt(own), with: key) }
  }

  @Test func theDocumentIsAskedForTheBindingAlone() throws {
    var asked: [[UInt8]] = []
    let signed = try Signed.sign(StatementSamples.announcement(own), with: key) { binding in
      asked.append(binding)
      return []
    }
    #expect(asked == [statementBinding(.announcement, payload: signed.payload)])
    #expect(statementBinding(.receipt, payload: signed.payload) != asked.first)
  }

  @Test func anotherVersionAndUnknownClaimsAreRefused() throws {
    let fields = StatementSamples.cancel().fields
    func payload(_ pairs: [(String, CBOR?)]) throws -> String? {
      refusal(try forge(CBOR.object(pairs).encoded()), as: CancelClaims.self)
    }
    #expect(try payload([("v", .unsigned(2))] + fields) == "cancel: version 2 is not known to this program")
    #expect(try payload(fields)?.contains("v is missing") == true)
    #expect(try payload([("v", .text("1"))] + fields) != nil)
    #expect(
      try payload([("v", .unsigned(1)), ("note", .text("x"))] + fields)?.contains("unknown key note") == true)
    #expect(try payload([("v", .unsigned(1)), ("v", .unsigned(1))] + fields)?.contains("duplicate key") == true)
    #expect(try payload([("v", .unsigned(1))] + fields.dropLast())?.contains("issued is missing") == true)
  }

  @Test func oneFlippedBitAnywhereIsRefused() throws {
    let bytes = try Signed.sign(StatementSamples.manifest(), with: key).bytes
    for offset in bytes.indices {
      var spoilt = bytes
      spoilt[offset] ^= 1 << UInt8(offset % 8)
      #expect(refusal(spoilt, as: JobManifestClaims.self) != nil, "accepted with a bit flipped at \(offset)")
    }
    for count in 0..<bytes.count where count % 11 == 0 {
      #expect(refusal(Array(bytes.prefix(count)), as: JobManifestClaims.self) != nil)
    }
  }

  @Test func anOversizedStatementIsRefusedUnread() {
    let bytes = [UInt8](repeating: 0xD2, count: Limits.smallObjectBytes + 1)
    #expect(throws: WireError.tooLarge("policy", limit: Limits.smallObjectBytes)) {
      try UnverifiedStatement<PolicyClaims>(bytes)
    }
  }
}
