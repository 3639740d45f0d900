import Crypto
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import DevCloud

@Suite("A generated key policy")
struct GenerateTests {
  private static func tuple(_ digit: String, pcr8: UInt8? = nil) throws -> MeasurementTuple {
    let registers = try Sample.image(digit).map { try #require(Hex.decode($0)) }
    return MeasurementTuple(
      name: "worker-\(digit)", pcr0: registers[0], pcr1: registers[1], pcr2: registers[2],
      pcr8: pcr8.map { [UInt8](repeating: $0, count: 48) })
  }

  private func generator(_ use: KeyUse, _ images: [MeasurementTuple]) -> KeyPolicyGenerator {
    KeyPolicyGenerator(
      use: use, account: "111122223333", administrators: [Sample.admin], instanceRole: Sample.host,
      publisher: use == .model ? Sample.publisher : nil, measurements: images)
  }

  private func lint(_ bytes: [UInt8], _ use: KeyUse, _ images: [MeasurementTuple]) throws -> KeyPolicyReport {
    try KeyPolicyLinter(try KeyPolicyDocument(json: bytes), use: use).report(measurements: images)
  }

  /// What devcloud's own evaluator, written apart from the linter, decides.
  private func allowed(
    _ policy: [UInt8], _ action: String, as principal: String = Sample.host, _ registers: [Int: String], use: KeyUse
  ) throws -> Bool {
    var context = ["kms:encryptioncontext:ephemeralml:use": use.rawValue]
    for (index, value) in registers { context["kms:recipientattestation:pcr\(index)"] = value }
    context["kms:recipientattestation:imagesha384"] = registers[0]
    return try KeyPolicy(json: policy).decide(
      PolicyRequest(principal: principal, action: "kms:\(action)", resource: "arn:aws:kms:k", context: context)
    ).isAllowed
  }

  private func registers(_ image: [String]) -> [Int: String] {
    Dictionary(uniqueKeysWithValues: image.enumerated().map { ($0.offset, $0.element) })
  }

  @Test("passes the linter for one image, two and three", arguments: KeyUse.allCases, [1, 2, 3])
  func clean(use: KeyUse, count: Int) throws {
    let images = try ["a", "b", "c"].prefix(count).map { try Self.tuple($0) }
    let report = try lint(try generator(use, images).policy(), use, images)
    #expect(report.findings.filter { $0.severity < .informs } == [])
    #expect(report.images.count == count)
  }

  @Test("gives secrets to the measured enclave alone, as devcloud decides")
  func epoch() throws {
    let policy = try generator(.epoch, [try Self.tuple("a")]).policy()
    let good = registers(Sample.first)
    for action in ["Decrypt", "GenerateDataKey"] {
      #expect(try allowed(policy, action, good, use: .epoch))
      #expect(try !allowed(policy, action, good, use: .model))
      #expect(try !allowed(policy, action, [:], use: .epoch))
      #expect(try !allowed(policy, action, as: Sample.admin, good, use: .epoch))
      for index in 0...2 {
        var wrong = good
        wrong[index] = Sample.second[index]
        #expect(try !allowed(policy, action, wrong, use: .epoch))
        wrong[index] = nil
        #expect(try !allowed(policy, action, wrong, use: .epoch))
      }
    }
    for action in [
      "Encrypt", "CreateGrant", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyPair", "ImportKeyMaterial",
    ] {
      for principal in [Sample.host, Sample.admin, Sample.publisher] {
        #expect(try !allowed(policy, action, as: principal, good, use: .epoch))
      }
    }
    #expect(try allowed(policy, "PutKeyPolicy", as: Sample.admin, [:], use: .epoch))
    #expect(try !allowed(policy, "PutKeyPolicy", good, use: .epoch))
  }

  @Test("lets the publisher of a model key encrypt and not decrypt")
  func model() throws {
    let policy = try generator(.model, [try Self.tuple("a")]).policy()
    let good = registers(Sample.first)
    #expect(try allowed(policy, "GenerateDataKey", as: Sample.publisher, [:], use: .model))
    #expect(try allowed(policy, "Encrypt", as: Sample.publisher, [:], use: .model))
    #expect(try !allowed(policy, "Decrypt", as: Sample.publisher, [:], use: .model))
    #expect(try !allowed(policy, "GenerateDataKey", good, use: .model))
    #expect(try allowed(policy, "Decrypt", good, use: .model))
    #expect(try !allowed(policy, "Decrypt", [:], use: .model))
  }

  @Test("does not mix images during an upgrade, not even for someone whom IAM allows")
  func upgrade() throws {
    let policy = try generator(.epoch, [try Self.tuple("a"), try Self.tuple("b")]).policy()
    // The worst that could stand beside it: a statement that hands every decision away.
    let text = String(decoding: policy, as: UTF8.self)
    let open = try #require(text.range(of: #""Statement": ["#))
    let door = #"{"Sid":"Door","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"},"#
    let opened = Array((text[..<open.upperBound] + door + text[open.upperBound...]).utf8)
    for bits in 0..<8 {
      let image = (0...2).map { bits >> $0 & 1 == 0 ? Sample.first[$0] : Sample.second[$0] }
      let whole = bits == 0 || bits == 7
      #expect(try allowed(policy, "Decrypt", registers(image), use: .epoch) == whole)
      #expect(try allowed(opened, "Decrypt", as: "arn:aws:iam::1:role/x", registers(image), use: .epoch) == whole)
    }
    #expect(try !lint(opened, .epoch, []).findings.contains { $0.id == .mixesImages })
  }

  @Test("demands signer and signed policy where they are asked for")
  func signerAndPolicy() throws {
    let image = try Self.tuple("a", pcr8: 0x88)
    var generator = generator(.epoch, [image])
    generator.demandsSigner = true
    generator.policyDigests = [try ContentDigest(Array(SHA256.hash(data: Array("policy".utf8))))]
    let policy = try generator.policy()
    let report = try lint(policy, .epoch, [image])
    #expect(report.isClean && !report.findings.contains { $0.id == .signerNotDemanded })
    var good = registers(Sample.first)
    #expect(try !allowed(policy, "Decrypt", good, use: .epoch))
    good[8] = String(repeating: "88", count: 48)
    #expect(try !allowed(policy, "Decrypt", good, use: .epoch))
    // SHA-384(48 zero bytes ‖ SHA-256("policy")), from Python's hashlib.
    good[16] = Self.extended
    #expect(try allowed(policy, "Decrypt", good, use: .epoch))
  }

  private static let extended =
    "717003b9944373cc10add6c62756270f57e4f4ff6d755da873e09d86711a1b9126b14614652b19149313ff3122c8872a"

  @Test("is not written where it would not be sound")
  func refusals() throws {
    let image = try Self.tuple("a")
    func refused(_ use: KeyUse = .epoch, _ change: (inout KeyPolicyGenerator) -> Void) {
      var generator = generator(use, [image])
      change(&generator)
      #expect(throws: ClientError.self) { try generator.policy() }
    }
    refused { $0.account = "1" }
    refused { $0.administrators = [] }
    refused { $0.administrators = ["arn:aws:iam::111122223333:root"] }
    refused { $0.administrators = ["arn:aws:iam::999999999999:role/x"] }
    refused { $0.administrators = ["*"] }
    refused { $0.instanceRole = "*" }
    refused { $0.instanceRole = "arn:aws:iam::444455556666:role/*" }
    refused { $0.instanceRole = Sample.admin }
    refused { $0.publisher = Sample.publisher }
    refused(.model) { $0.publisher = nil }
    refused { $0.measurements = [] }
    refused { $0.demandsSigner = true }
    let zero = [UInt8](repeating: 0, count: 48)
    refused {
      $0.measurements = [MeasurementTuple(name: "z", pcr0: image.pcr0, pcr1: zero, pcr2: image.pcr2, pcr8: nil)]
    }
    refused {
      $0.measurements.append(
        MeasurementTuple(name: "twin", pcr0: image.pcr0, pcr1: image.pcr2, pcr2: image.pcr2, pcr8: nil))
    }
  }

  @Test("devcloud's own templates pass the linter too")
  func devcloudTemplates() throws {
    let image = Sample.first
    let templates = PolicyTemplates(measurements: (image[0], image[1], image[2]))
    for (use, bytes) in [(KeyUse.epoch, try templates.epochKey()), (.model, try templates.modelKey())] {
      let report = try KeyPolicyLinter(try KeyPolicyDocument(json: bytes), use: use).report()
      #expect(report.findings.filter { $0.severity < .informs } == [])
      #expect(report.images == [image])
      #expect(report.findings.contains { $0.id == .sameAccount })
    }
  }

  @Test("measurements are read as tools print them")
  func measurements() throws {
    let (a, b, c) = (Sample.first[0], Sample.first[1], Sample.first[2])
    let ours = #"{"pcr0":"\#(a)","pcr1":"\#(b)","pcr2":"\#(c)","pcr8":null}"#
    let theirs = #"{"Measurements":{"HashAlgorithm":"Sha384 { ... }","PCR0":"\#(a)","PCR1":"\#(b)","PCR2":"\#(c)"}}"#
    for text in [ours, theirs] {
      let image = try KeyMeasurements.image(json: Array(text.utf8), file: "m.json")
      #expect([image.pcr0, image.pcr1, image.pcr2].map { Hex.encode($0) } == Sample.first)
      #expect(image.pcr8 == nil)
    }
    let zero = String(repeating: "0", count: 96)
    for wrong in [
      "", "{}", #"{"pcr0":"\#(a)","pcr1":"\#(b)"}"#, #"{"pcr0":"\#(zero)","pcr1":"\#(b)","pcr2":"\#(c)"}"#,
      #"{"pcr0":"\#(a.uppercased())","pcr1":"\#(b)","pcr2":"\#(c)"}"#,
    ] {
      #expect(throws: ClientError.self) { try KeyMeasurements.image(json: Array(wrong.utf8), file: "m.json") }
    }
  }
}
