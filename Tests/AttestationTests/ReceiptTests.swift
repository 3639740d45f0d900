import SealedCrypto
import Testing
import Wire

@testable import Attestation

/// The verdict on a receipt, line by line (protocol §6).
struct ReceiptTests {
  private let enclave: TestEnclave
  private let policy: Signed<PolicyClaims>

  init() throws {
    enclave = try TestEnclave()
    policy = try enclave.policy()
  }

  private static let everything = ReceiptExpectation(
    job: TestEnclave.job, manifest: TestEnclave.manifest, submitter: TestEnclave.submitter, model: TestEnclave.model,
    files: TestEnclave.files, items: TestEnclave.items)

  private func verdict(
    _ bytes: [UInt8], _ expected: ReceiptExpectation = everything, policies: [Signed<PolicyClaims>]? = nil
  ) throws -> ReceiptVerdict {
    ReceiptCheck(verifier: try enclave.pki.verifier, policies: policies ?? [policy]).verdict(bytes, expecting: expected)
  }

  /// The questions that failed.
  private func failures(_ verdict: ReceiptVerdict) -> [ReceiptVerdict.Question] {
    verdict.lines.compactMap { line in if case .failed = line.answer { line.question } else { nil } }
  }

  private func failures(
    _ change: (inout ReceiptClaims) -> Void = { _ in }, document: @escaping (inout TestDocument) -> Void = { _ in },
    expecting: (inout ReceiptExpectation) -> Void = { _ in }
  ) throws -> [ReceiptVerdict.Question] {
    var expected = Self.everything
    expecting(&expected)
    let verdict = try verdict(try enclave.receipt(under: policy, change, document: document), expected)
    #expect(verdict.isVerified == failures(verdict).isEmpty)
    #expect(verdict.lines.map(\.question) == ReceiptVerdict.Question.allCases)
    return failures(verdict)
  }

  @Test func everyLineOfAGenuineReceiptIsMet() throws {
    let verdict = try verdict(try enclave.receipt(under: policy))
    for line in verdict.lines {
      guard case .met = line.answer else {
        Issue.record("\(line)")
        continue
      }
    }
    #expect(verdict.receipt?.claims.bundle == TestEnclave.job)
    #expect(verdict.receipt?.attestation.evidenceClass == .development)
    #expect(verdict.failure == nil)
  }

  @Test func whatIsNotGivenIsCalledNotChecked() throws {
    let verdict = try verdict(try enclave.receipt(under: policy), ReceiptExpectation(job: TestEnclave.job))
    #expect(verdict.isVerified)
    let open = verdict.lines.filter { line in if case .notChecked = line.answer { true } else { false } }
    #expect(open.map(\.question) == [.manifest, .files, .items])
  }

  @Test func anotherJobsReceiptIsRefused() throws {
    #expect(try failures(expecting: { $0.job = TestEnclave.model }) == [.bundle])
    #expect(try failures(expecting: { $0.manifest = TestEnclave.model }) == [.manifest])
    #expect(try failures(expecting: { $0.submitter = TestEnclave.model }) == [.manifest])
    #expect(try failures(expecting: { $0.model = TestEnclave.job }) == [.manifest])
  }

  @Test func otherFilesAreRefused() throws {
    #expect(try failures(expecting: { $0.files?.removeLast() }) == [.files])
    #expect(try failures(expecting: { $0.files?.append(TestEnclave.files[0]) }) == [.files])
    #expect(
      try failures(expecting: {
        $0.files?[1] = ReceiptFile(file: .errors, size: 101, sha256: TestEnclave.files[0].sha256)
      }) == [.files])
    #expect(
      try failures(expecting: {
        $0.files?[1] = ReceiptFile(file: .errors, size: 102, sha256: TestEnclave.files[1].sha256)
      }) == [.files])
  }

  @Test func otherItemsAreRefused() throws {
    let root = TestEnclave.items.merkleRoot
    for wrong in [
      RecomputedItems(merkleRoot: TestEnclave.job, count: 60, failed: 0),
      RecomputedItems(merkleRoot: root, count: 59, failed: 0), RecomputedItems(merkleRoot: root, count: 60, failed: 1),
    ] {
      #expect(try failures(expecting: { $0.items = wrong }) == [.items])
    }
  }

  @Test func aPolicyThatWasNeverAcceptedIsRefused() throws {
    let bytes = try enclave.receipt(under: policy)
    let other = try enclave.policy { $0.minimumEpoch = 1 }
    #expect(try failures(verdict(bytes, policies: [])) == [.policy])
    #expect(try failures(verdict(bytes, policies: [other])) == [.policy])
    #expect(try failures(verdict(bytes, policies: [other, policy])) == [])
    #expect(try !verdict(bytes, policies: []).isVerified)
    let expired = try enclave.policy { $0.notAfterMs = TestPKI.timeMs - 1 }
    #expect(try failures(verdict(try enclave.receipt(under: expired), policies: [expired])) == [.policy])
  }

  @Test func anotherImageIsRefused() throws {
    #expect(try failures(document: { $0.setRegister(2, Array(repeating: 1, count: 48)) }) == [.measurements])
    let other = try enclave.policy { $0.measurements = [] }
    #expect(try failures(verdict(try enclave.receipt(under: other), policies: [other])) == [.measurements])
  }

  @Test func aDocumentThatBindsAnotherStatementIsRefused() throws {
    #expect(try failures(document: { $0["user_data"] = .bytes([1]) }) == [.keyBinding])
    #expect(try failures(document: { $0["nonce"] = .bytes([1]) }) == [.keyBinding])
    #expect(try failures(document: { $0["public_key"] = .bytes([1]) }) == [.keyBinding])
  }

  @Test func aBrokenChainLeavesNothingToAsk() throws {
    #expect(try failures(document: { $0["module_id"] = .text("") }) == [.chain])
    #expect(try failures(document: { $0.setRegister(0, Array(repeating: 0, count: 48)) }) == [.chain])
    let elsewhere = try TestEnclave()
    #expect(try failures(verdict(try elsewhere.receipt(under: policy))) == [.chain])
  }

  @Test func timesThatDoNotFitTheDocumentAreRefused() throws {
    #expect(try failures { $0.endedMs = TestPKI.timeMs + 60_001 } == [.times])
    #expect(
      try failures {
        $0.startedMs = 1
        $0.endedMs = TestPKI.timeMs - 16 * 60_000
      } == [.times])
  }

  @Test func aRefusedJobsReceiptBindsTheBundleAlone() throws {
    let verdict = try verdict(
      try enclave.receipt(under: policy) {
        $0.outcome = .refused
        $0.code = .refused
        $0.job = nil
      })
    #expect(verdict.isVerified)
    #expect(verdict.receipt?.claims.outcome == .refused)
    #expect(failures(verdict) == [])
  }

  @Test func bytesThatAreNoReceiptFailTheFirstLine() throws {
    for bytes in [[], [0xD2], try enclave.announcement(under: policy)] {
      #expect(failures(try verdict(bytes)) == [.form])
      #expect(try verdict(bytes).failure?.question == .form)
    }
  }

  @Test func oneFlippedBitAnywhereIsRefused() throws {
    let bytes = try enclave.receipt(under: policy)
    for offset in stride(from: 0, to: bytes.count, by: 3) {
      var spoilt = bytes
      spoilt[offset] ^= 1 << UInt8(offset % 8)
      #expect(try !verdict(spoilt).isVerified, "bit flipped at \(offset)")
    }
  }

  @Test func textFromOutsideReachesTheScreenWithoutControlCharacters() throws {
    let bytes = try enclave.receipt(under: policy, document: { $0["module_id"] = .text("i-1\u{1B}[2J\n水") })
    for line in try verdict(bytes).lines {
      guard case .met(let text) = line.answer else { continue }
      #expect(text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 })
    }
  }
}
