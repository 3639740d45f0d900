import SealedCrypto
import Testing
import Wire

@testable import Attestation

/// A receipt under an older policy than the one that counted is refused (protocol §6).
struct PolicyRollbackTests {
  private let enclave: TestEnclave
  private let lag = ReceiptCheck.policyLagMs

  init() throws { enclave = try TestEnclave() }

  /// Whether the line on the policy is met, and whether the receipt verifies at all.
  private func isMet(
    _ policies: [Signed<PolicyClaims>], leastVersion: UInt64? = nil
  ) throws -> Bool {
    let receipt = try enclave.receipt(under: try #require(policies.first))
    let verdict = ReceiptCheck(verifier: try enclave.pki.verifier, policies: policies).verdict(
      receipt, expecting: ReceiptExpectation(job: TestEnclave.job, minimumPolicyVersion: leastVersion))
    #expect(verdict.isVerified == (verdict.failure == nil))
    if let failure = verdict.failure { #expect(failure.question == .policy) }
    return verdict.isVerified
  }

  private func newer(_ version: UInt64, issuedMs: UInt64, lists: Bool) throws -> Signed<PolicyClaims> {
    try enclave.policy {
      $0.version = version
      $0.issuedMs = issuedMs
      if !lists { $0.measurements = [Self.otherImage] }
    }
  }

  private static let otherImage = MeasurementTuple(
    name: "other", pcr0: Array(repeating: 1, count: 48), pcr1: Array(repeating: 2, count: 48),
    pcr2: Array(repeating: 3, count: 48), pcr8: nil)

  @Test func aPolicyOlderThanTheJobsOwnIsRefused() throws {
    let policy = try enclave.policy()
    #expect(try isMet([policy], leastVersion: 2))
    #expect(try isMet([policy], leastVersion: 3))
    #expect(try !isMet([policy], leastVersion: 4))
  }

  @Test func anImageThatANewerPolicyDroppedIsRefusedOnceEveryHostMustHaveIt() throws {
    let policy = try enclave.policy()
    let now = TestPKI.timeMs
    #expect(try !isMet([policy, newer(4, issuedMs: now - lag - 1, lists: false)]))
    #expect(try isMet([policy, newer(4, issuedMs: now - lag, lists: false)]))
    #expect(try isMet([policy, newer(4, issuedMs: now + 1, lists: false)]))
    #expect(try isMet([policy, newer(4, issuedMs: now - lag - 1, lists: true)]))
    #expect(try isMet([policy, newer(2, issuedMs: now - lag - 1, lists: false)]))
    #expect(try isMet([policy, newer(4, issuedMs: .max >> 1, lists: false)]))
  }

  @Test func theNewestPolicyInForceDecidesWhetherAnImageIsListed() throws {
    let policy = try enclave.policy()
    let early = TestPKI.timeMs - lag - 1
    #expect(try isMet([policy, newer(4, issuedMs: early, lists: false), newer(5, issuedMs: early, lists: true)]))
    #expect(try !isMet([policy, newer(4, issuedMs: early, lists: true), newer(5, issuedMs: early, lists: false)]))
  }
}

/// What `attest verify` takes for proven of a statement.
struct DocumentCarrierTests {
  private let enclave: TestEnclave
  private let policy: Signed<PolicyClaims>

  init() throws {
    enclave = try TestEnclave()
    policy = try enclave.policy()
  }

  private func refusal(_ bytes: [UInt8]) throws -> AttestationRefusal.Reason? {
    let verifier = try enclave.pki.verifier
    do {
      _ = try DocumentCarrier(bytes).verify(by: verifier, at: .documentTime, measurements: [TestDocument.image])
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func aStatementIsTakenForWhatItIsAndADocumentToo() throws {
    let status = try Signed.sign(
      StatusClaims(
        timeMs: 1, software: "1", policyVersion: 0, policyDigest: nil, epochs: [], nonce: [1],
        key: enclave.bootKey.verifyingKey), with: enclave.bootKey
    ) { try enclave.document($0) }
    let samples: [(StatementKind?, [UInt8])] = [
      (.announcement, try enclave.announcement(under: policy)), (.receipt, try enclave.receipt(under: policy)),
      (.status, status.bytes), (nil, try enclave.document([1])),
    ]
    for (kind, bytes) in samples {
      #expect(try DocumentCarrier(bytes).kind == kind)
      #expect(try refusal(bytes) == nil)
    }
  }

  @Test func aStatementAlteredAroundAGenuineDocumentIsRefused() throws {
    let bytes = try enclave.receipt(under: policy)
    for offset in stride(from: 0, to: bytes.count, by: 7) {
      var spoilt = bytes
      spoilt[offset] ^= 1
      #expect(try refusal(spoilt) != nil, "bit flipped at \(offset)")
    }
  }

  @Test func aDocumentThatWasMadeForAnotherStatementIsRefused() throws {
    let stolen = try enclave.receipt(
      under: policy, document: { $0["user_data"] = .bytes(Array(repeating: 1, count: 32)) })
    #expect(try refusal(stolen) == .userData)
    let stranger = try SigningKey.generate()
    let foreign = try Signed.sign(
      StatusClaims(
        timeMs: 1, software: "1", policyVersion: 0, policyDigest: nil, epochs: [], nonce: [],
        key: stranger.verifyingKey), with: stranger
    ) { _ in try enclave.document([1, 2, 3]) }
    #expect(try refusal(foreign.bytes) == .userData)
  }
}
