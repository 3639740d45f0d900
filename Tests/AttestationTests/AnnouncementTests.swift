import SealedCrypto
import Testing
import Wire

@testable import Attestation

/// What a client checks before it seals a byte (protocol §4).
struct AnnouncementTests {
  private let enclave: TestEnclave
  private let policy: Signed<PolicyClaims>
  private let now = TestPKI.timeMs + 1_000

  init() throws {
    enclave = try TestEnclave()
    policy = try enclave.policy()
  }

  private func reason(
    _ bytes: [UInt8], under policy: Signed<PolicyClaims>? = nil, newestAcceptedMs: UInt64 = 0, nowMs: UInt64? = nil
  ) throws -> AttestationRefusal.Reason? {
    let check = AnnouncementCheck(
      verifier: try enclave.pki.verifier, policy: policy ?? self.policy, newestAcceptedMs: newestAcceptedMs)
    return refusal { _ = try check.accept(bytes, nowMs: nowMs ?? now) }?.reason
  }

  private func reason(_ change: (inout AnnouncementClaims) -> Void) throws -> AttestationRefusal.Reason? {
    try reason(try enclave.announcement(under: policy, change))
  }

  private func reason(document: @escaping (inout TestDocument) -> Void) throws -> AttestationRefusal.Reason? {
    try reason(try enclave.announcement(under: policy, document: document))
  }

  @Test func aGenuineAnnouncementIsAccepted() throws {
    let check = AnnouncementCheck(verifier: try enclave.pki.verifier, policy: policy, newestAcceptedMs: 0)
    let accepted = try check.accept(try enclave.announcement(under: policy), nowMs: now)
    #expect(accepted.claims.epoch == 2)
    #expect(accepted.timeMs == TestPKI.timeMs)
    #expect(accepted.evidenceClass == .development)
  }

  @Test func itStaysAcceptableAfterItsLeafExpired() throws {
    let days = TestPKI.timeMs + 6 * TestEnclave.day
    #expect(try reason(try enclave.announcement(under: policy), nowMs: days) == nil)
  }

  @Test func claimsOutsideOfThePolicyAreRefused() throws {
    #expect(try reason { $0.kmsKey += "0" } == .statement)
    #expect(try reason { $0.epoch = 1 } == .epoch)
    #expect(try reason { $0.epoch = 1 + Limits.epochsAboveMinimum } == nil)
    #expect(try reason { $0.epoch = 2 + Limits.epochsAboveMinimum } == .epoch)
    #expect(try reason { $0.notAfterMs += 1 } == .validity)
    #expect(try reason { $0.notBeforeMs = TestPKI.timeMs + 3_600_000 } == .validity)
    #expect(try reason { $0.policyDigest = TestEnclave.job } == .policy)
    #expect(try reason { $0.policyVersion = 2 } == nil)
  }

  /// Signed by the true hypervisor, bound to the statement, and worth nothing: the host reads such an enclave's memory.
  @Test func anAnnouncementOfADebugModeEnclaveIsRefused() throws {
    let zeros = [UInt8](repeating: 0, count: 48)
    #expect(
      try reason(document: { document in for index: UInt64 in 0...2 { document.setRegister(index, zeros) } })
        == .debugMode)
    #expect(try reason(document: { $0.setRegister(1, zeros) }) == .debugMode)
  }

  @Test func anExpiredAnnouncementIsRefused() throws {
    let bytes = try enclave.announcement(under: policy)
    #expect(try reason(bytes, nowMs: TestPKI.timeMs + 7 * TestEnclave.day - 1) == nil)
    #expect(try reason(bytes, nowMs: TestPKI.timeMs + 7 * TestEnclave.day) == .validity)
  }

  @Test func anAnnouncementFromTheFutureIsRefused() throws {
    let bytes = try enclave.announcement(under: policy)
    #expect(try reason(bytes, nowMs: TestPKI.timeMs - AnnouncementCheck.clockSkewMs) == nil)
    #expect(try reason(bytes, nowMs: TestPKI.timeMs - AnnouncementCheck.clockSkewMs - 1) == .validity)
  }

  @Test func anOlderOneThanTheNewestAcceptedIsRefused() throws {
    let bytes = try enclave.announcement(under: policy)
    #expect(try reason(bytes, newestAcceptedMs: TestPKI.timeMs) == nil)
    #expect(try reason(bytes, newestAcceptedMs: TestPKI.timeMs + 1) == .stale)
  }

  @Test func anExpiredPolicyAcceptsNothing() throws {
    let expired = try enclave.policy { $0.notAfterMs = TestPKI.timeMs }
    #expect(try reason(try enclave.announcement(under: expired), under: expired) == .policy)
  }

  @Test func evidenceThatDoesNotBindItIsRefused() throws {
    #expect(try reason(document: { $0["user_data"] = .bytes(Array(repeating: 0, count: 32)) }) == .userData)
    #expect(try reason(document: { $0["user_data"] = .null }) == .userData)
    #expect(try reason(document: { $0["nonce"] = .bytes([1]) }) == .nonce)
    #expect(try reason(document: { $0["public_key"] = .bytes([1]) }) == .publicKey)
    #expect(try reason(document: { $0.setRegister(1, Array(repeating: 1, count: 48)) }) == .measurements)
  }

  /// The host copies a genuine document onto an announcement of a key of its own.
  @Test func aKeyOfTheHostsOwnIsRefused() throws {
    let genuine = try UnverifiedStatement<AnnouncementClaims>(try enclave.announcement(under: policy))
      .signedByItsOwnKey()
    let host = try SigningKey.generate()
    var claims = genuine.signed.claims
    claims.publicKey = Array(repeating: 9, count: 1216)
    claims.key = host.verifyingKey
    let forged = try Signed.sign(claims, with: host) { _ in genuine.document }
    #expect(try reason(forged.bytes) == .userData)
  }

  /// A receipt's document says nothing for an announcement, although one enclave made both.
  @Test func aDocumentOfAnotherKindOfStatementIsRefused() throws {
    let claims = try UnverifiedStatement<AnnouncementClaims>(try enclave.announcement(under: policy))
      .signedByItsOwnKey().signed.claims
    let crossed = try Signed.sign(claims, with: enclave.bootKey) { _ in
      let payload = CBOR.object([("v", .unsigned(1))] + claims.fields).encoded()
      return try enclave.document(statementBinding(.receipt, payload: payload))
    }
    #expect(try reason(crossed.bytes) == .userData)
  }

  @Test func anotherHypervisorIsRefused() throws {
    let elsewhere = try TestEnclave()
    #expect(try reason(try elsewhere.announcement(under: policy)) == .wrongRoot)
  }

  @Test func oneFlippedBitAnywhereIsRefused() throws {
    let bytes = try enclave.announcement(under: policy)
    let check = AnnouncementCheck(verifier: try enclave.pki.verifier, policy: policy, newestAcceptedMs: 0)
    for offset in stride(from: 0, to: bytes.count, by: 3) {
      var spoilt = bytes
      spoilt[offset] ^= 1 << UInt8(offset % 8)
      #expect(throws: (any Error).self, "bit flipped at \(offset)") { try check.accept(spoilt, nowMs: now) }
    }
  }
}
