import SealedCrypto
import Testing
import Wire
import X509

@testable import Attestation

/// Documents that the test's own hypervisor signed, each wrong in one thing.
struct DocumentRefusalTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let reason: AttestationRefusal.Reason
    let place: String
    var detail = ""
    let spoil: @Sendable (inout TestDocument) -> Void

    init(
      _ claim: String, _ reason: AttestationRefusal.Reason, at place: String, saying detail: String = "",
      _ spoil: @escaping @Sendable (inout TestDocument) -> Void
    ) {
      testDescription = claim
      self.reason = reason
      self.place = place
      self.detail = detail
      self.spoil = spoil
    }
  }

  private static let zeros = [UInt8](repeating: 0, count: 48)

  static let cases: [Case] = [
    Case("a debug-mode enclave", .debugMode, at: "PCR0") {
      for index: UInt64 in 0...2 { $0.setRegister(index, zeros) }
    },
    Case("a zero PCR2 alone", .debugMode, at: "PCR2") { $0.setRegister(2, zeros) },
    Case("no pcrs", .missingPCR, at: "pcrs") { $0["pcrs"] = nil },
    Case("no PCR1", .missingPCR, at: "PCR1") { $0.setRegister(1, nil) },
    Case("nitrotpm_pcrs in place of pcrs", .nitroTPM, at: "payload") {
      $0["nitrotpm_pcrs"] = $0["pcrs"]
      $0["pcrs"] = nil
    },
    Case("nitrotpm_pcrs beside pcrs", .nitroTPM, at: "payload") { $0["nitrotpm_pcrs"] = $0["pcrs"] },
    Case("a duplicate key", .malformed, at: "payload", saying: "duplicate key") {
      $0.pairs.append(.init(.text("timestamp"), .unsigned(TestPKI.timeMs)))
    },
    Case("a duplicate register", .malformed, at: "payload", saying: "duplicate key") {
      guard case .map(let registers)? = $0["pcrs"] else { return }
      $0["pcrs"] = .map(registers + [registers[0]])
    },
    Case("trailing bytes in the payload", .malformed, at: "payload", saying: "trailing bytes") {
      $0.payloadSuffix = [0xF6]
    },
    Case("an unknown field", .field, at: "payload", saying: "unknown key") { $0["extra"] = .null },
    Case("another digest", .digestAlgorithm, at: "digest") { $0["digest"] = .text("SHA256") },
    Case("a zero timestamp", .timestamp, at: "timestamp") { $0["timestamp"] = .unsigned(0) },
    Case("a timestamp beyond all dates", .field, at: "timestamp") { $0["timestamp"] = .unsigned(.max) },
    Case("an empty module id", .field, at: "module_id") { $0["module_id"] = .text("") },
    Case("a register of 32 bytes", .field, at: "PCR7") { $0.setRegister(7, Array(repeating: 1, count: 32)) },
    Case("a register with index 32", .field, at: "pcrs") { $0.setRegister(32, Array(repeating: 1, count: 48)) },
    Case("no registers", .field, at: "pcrs") { $0["pcrs"] = .map([]) },
    Case("an empty bundle", .field, at: "cabundle") { $0["cabundle"] = .array([]) },
    Case("a certificate of 1025 bytes", .field, at: "certificate") {
      $0["certificate"] = .bytes(Array(repeating: 0x30, count: 1025))
    },
    Case("a certificate that is none", .certificate, at: "certificate") { $0["certificate"] = .bytes([0x30, 0]) },
    Case("user_data of 513 bytes", .field, at: "user_data") {
      $0["user_data"] = .bytes(Array(repeating: 1, count: 513))
    },
    Case("a public key of 1025 bytes", .field, at: "public_key") {
      $0["public_key"] = .bytes(Array(repeating: 1, count: 1025))
    },
    Case("ES256 in the protected header", .algorithm, at: "protected header") { $0.protected = [0xA1, 0x01, 0x26] },
    Case("the emulator's algorithm -1", .evidenceClass, at: "protected header") { $0.protected = [0xA1, 0x01, 0x20] },
    Case("a second protected header", .algorithm, at: "protected header") {
      $0.protected = [0xA2, 0x01, 0x38, 0x22, 0x04, 0x40]
    },
    Case("an unprotected header", .header, at: "unprotected header") {
      $0.unprotected = [.init(.unsigned(4), .bytes([1]))]
    },
    Case("the bundle in another order", .brokenChain, at: "cabundle[2]") {
      guard case .array(var bundle)? = $0["cabundle"] else { return }
      bundle.swapAt(2, 3)
      $0["cabundle"] = .array(bundle)
    },
    Case("a bundle without its regional certificate", .brokenChain, at: "cabundle[1]") {
      guard case .array(var bundle)? = $0["cabundle"] else { return }
      bundle.remove(at: 1)
      $0["cabundle"] = .array(bundle)
    },
    Case("the root in the leaf's place", .brokenChain, at: "certificate") {
      guard case .array(let bundle)? = $0["cabundle"] else { return }
      $0["certificate"] = bundle[0]
    },
  ]

  @Test(arguments: cases) func isRefused(_ one: Case) throws {
    let pki = try TestPKI()
    var document = TestDocument(pki)
    one.spoil(&document)
    let bytes = try document.signed(pki.leafKey)
    let verifier = try pki.verifier
    let refused = refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }
    #expect(refused?.reason == one.reason)
    #expect(refused?.place == one.place)
    #expect(refused?.detail.contains(one.detail) ?? false || one.detail.isEmpty)
  }

  @Test func everyFormThatAWSHasUsedIsAccepted() throws {
    let pki = try TestPKI()
    for (isTagged, indefinite) in [(false, false), (true, false), (false, true), (true, true)] {
      var document = TestDocument(pki)
      document.isTagged = isTagged
      document.indefinite = indefinite
      let verified = try pki.verifier.verify(
        .init(try document.signed(pki.leafKey)), at: .documentTime, measurements: [TestDocument.image])
      #expect(verified.image == TestDocument.image)
      #expect(verified.evidenceClass == .development)
    }
  }

  @Test func bytesAfterTheDocumentAreRefused() throws {
    let pki = try TestPKI()
    let bytes = try TestDocument(pki).signed(pki.leafKey) + [0]
    let verifier = try pki.verifier
    let refused = refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }
    #expect(refused?.reason == .malformed)
    #expect(refused?.detail.contains("trailing bytes") ?? false)
  }

  @Test func aSignatureByAnotherKeyIsRefused() throws {
    let pki = try TestPKI()
    let bytes = try TestDocument(pki).signed(try TestPKI().leafKey)
    let verifier = try pki.verifier
    #expect(
      refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }?.reason == .signature)
  }

  @Test func developmentEvidenceIsNoProductionEvidence() throws {
    let pki = try TestPKI()
    let verified = try pki.verifier.verify(
      .init(try TestDocument(pki).signed(pki.leafKey)), at: .documentTime, measurements: nil)
    #expect(refusal { _ = try ProductionEvidence(verified) }?.reason == .evidenceClass)
  }

  @Test func developmentEvidenceIsRefusedUnderTheAWSRoot() throws {
    let pki = try TestPKI()
    let bytes = try TestDocument(pki).signed(pki.leafKey)
    let production = AttestationVerifier(try .production())
    #expect(
      refusal { _ = try production.verify(.init(bytes), at: .documentTime, measurements: nil) }?.reason == .wrongRoot)
  }
}
