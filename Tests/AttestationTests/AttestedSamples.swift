import Crypto
import SealedCrypto
import Wire

@testable import Attestation

/// A hypervisor, an enclave on it, a policy that lists its image, and what the enclave says.
struct TestEnclave {
  static let epochKey = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
  static let day: UInt64 = 86_400_000

  let pki: TestPKI
  let bootKey: SigningKey
  let officer: SigningKey

  init(_ pki: TestPKI? = nil) throws {
    self.pki = try pki ?? TestPKI()
    bootKey = try SigningKey.generate()
    officer = try SigningKey.generate()
  }

  func policy(_ change: (inout PolicyClaims) -> Void = { _ in }) throws -> Signed<PolicyClaims> {
    var claims = PolicyClaims(
      version: 3, issuedMs: TestPKI.timeMs - Self.day, notAfterMs: TestPKI.timeMs + 30 * Self.day,
      measurements: [TestDocument.image], epochKey: Self.epochKey, minimumEpoch: 2, epochValidityMs: 7 * Self.day,
      epochGraceMs: Self.day, submitters: [], publishers: [], formats: [], dtypes: [], maximumItems: 10,
      maximumInputBytes: 10, recoveryRecipients: [], requireHybridTLS: true, useFIPSEndpoint: false)
    change(&claims)
    return try Signed.sign(claims, with: officer)
  }

  /// The document that the hypervisor makes for a statement; `change` spoils it before the signature.
  func document(_ userData: [UInt8], _ change: (inout TestDocument) -> Void = { _ in }) throws -> [UInt8] {
    var document = TestDocument(pki, userData: userData)
    change(&document)
    return try document.signed(pki.leafKey)
  }

  func announcement(
    under policy: Signed<PolicyClaims>, _ change: (inout AnnouncementClaims) -> Void = { _ in },
    document spoil: @escaping (inout TestDocument) -> Void = { _ in }
  ) throws -> [UInt8] {
    var claims = AnnouncementClaims(
      epoch: 2, publicKey: Array(repeating: 1, count: 1216), notBeforeMs: TestPKI.timeMs,
      notAfterMs: TestPKI.timeMs + 7 * Self.day, kmsKey: Self.epochKey, policyVersion: policy.claims.version,
      policyDigest: policy.digest, key: bootKey.verifyingKey)
    change(&claims)
    return try Signed.sign(claims, with: bootKey) { try document($0, spoil) }.bytes
  }

  static let files = ResultFile.allCases.map {
    ReceiptFile(file: $0, size: 100 + $0.rawValue, sha256: SHA256.digest(of: [UInt8($0.rawValue)]))
  }
  static let job = SHA256.digest(of: [20])
  static let manifest = SHA256.digest(of: [21])
  static let model = SHA256.digest(of: [22])
  static let submitter = SHA256.digest(of: [23])
  static let items = RecomputedItems(merkleRoot: SHA256.digest(of: [24]), count: 60, failed: 0)

  func receipt(
    under policy: Signed<PolicyClaims>, _ change: (inout ReceiptClaims) -> Void = { _ in },
    document spoil: @escaping (inout TestDocument) -> Void = { _ in }
  ) throws -> [UInt8] {
    var claims = ReceiptClaims(
      outcome: .completed, code: .ok, bundle: Self.job,
      job: ReceiptJob(
        manifest: Self.manifest, model: Self.model, submitter: Self.submitter, stream: Array(repeating: 3, count: 16),
        sequence: 1, previous: nil, files: Self.files, merkleRoot: Self.items.merkleRoot, items: Self.items.count,
        failedItems: 0, precision: "fp32"), policyVersion: policy.claims.version, policyDigest: policy.digest,
      startedMs: TestPKI.timeMs - 5_000, endedMs: TestPKI.timeMs - 10, software: "1.0.0", attempt: 1,
      key: bootKey.verifyingKey)
    change(&claims)
    return try Signed.sign(claims, with: bootKey) { try document($0, spoil) }.bytes
  }
}
