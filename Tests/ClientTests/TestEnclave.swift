import Attestation
import Crypto
import Foundation
import Inference
import SealedCrypto
import Wire
import X509

@testable import Client

/// An enclave made in the test, with the hypervisor that attests it: four certificates under a root of its own, a boot
/// key, a sealing key. It opens bundles and seals results as the worker does, with numbers of its own for embeddings.
struct TestEnclave {
  static let image = MeasurementTuple(
    name: "test image", pcr0: [UInt8](repeating: 0xA0, count: 48), pcr1: [UInt8](repeating: 0xA1, count: 48),
    pcr2: [UInt8](repeating: 0xA2, count: 48), pcr8: nil)
  static let epochKey = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001"

  static let modelKey = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000002"

  let rootPEM: String
  let sealing: HybridIdentity
  private let chain: [[UInt8]]
  private let leafKey: P384.Signing.PrivateKey
  private let bootKey: SigningKey

  init(nowMs: UInt64) throws {
    let now = TimeInterval(nowMs / 1000)
    let authority = KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true)
    let levels: [(String, BasicConstraints, KeyUsage)] = [
      ("root", .isCertificateAuthority(maxPathLength: nil), authority),
      ("regional", .isCertificateAuthority(maxPathLength: 2), authority),
      ("zonal", .isCertificateAuthority(maxPathLength: 1), authority),
      ("instance", .isCertificateAuthority(maxPathLength: 0), authority),
      ("leaf", .notCertificateAuthority, KeyUsage(digitalSignature: true)),
    ]
    var issuerKey = P384.Signing.PrivateKey()
    var key = issuerKey
    var issuer = try DistinguishedName { CommonName("root") }
    var certificates: [Certificate] = []
    for (name, constraints, usage) in levels {
      let subject = try DistinguishedName { CommonName(name) }
      certificates.append(
        try Certificate(
          version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
          notValidBefore: Date(timeIntervalSince1970: now - 7200),
          notValidAfter: Date(timeIntervalSince1970: now + 86_400),
          issuer: issuer, subject: subject, signatureAlgorithm: .ecdsaWithSHA384,
          extensions: try .init([try .init(constraints, critical: true), try .init(usage, critical: true)]),
          issuerPrivateKey: .init(issuerKey)))
      (issuer, issuerKey, key) = (subject, key, P384.Signing.PrivateKey())
    }
    leafKey = issuerKey
    chain = try certificates.map { Array(try $0.serializeAsPEM().derBytes) }
    rootPEM = try certificates[0].serializeAsPEM().pemString
    sealing = try HybridIdentity.generate()
    bootKey = try SigningKey.generate()
  }

  /// The boot key's public half.
  var verifyingKey: VerifyingKey { bootKey.verifyingKey }

  /// A document over 32 bytes, made at a time.
  func document(_ userData: [UInt8], atMs: UInt64) throws -> [UInt8] {
    let registers = [Self.image.pcr0, Self.image.pcr1, Self.image.pcr2].enumerated().map {
      CBOR.Pair(.unsigned(UInt64($0.offset)), .bytes($0.element))
    }
    let payload = CBOR.object([
      ("module_id", .text("i-test-enc0")), ("digest", .text("SHA384")), ("timestamp", .unsigned(atMs)),
      ("pcrs", .map(registers)), ("certificate", .bytes(chain[4])),
      ("cabundle", .array(chain[0..<4].map { .bytes($0) })),
      ("public_key", .null), ("user_data", .bytes(userData)), ("nonce", .null),
    ]).encoded()
    let protected: [UInt8] = [0xA1, 0x01, 0x38, 0x22]
    let message = COSESign1.signedBytes(protected: protected, externalAAD: [], payload: payload)
    let signature = Array(try leafKey.signature(for: message).rawRepresentation)
    return CBOR.array([.bytes(protected), .map([]), .bytes(payload), .bytes(signature)]).encoded()
  }

  /// A signed and attested statement.
  func sign<Claims: AttestedClaims>(_ claims: Claims, atMs: UInt64) throws -> Signed<Claims> {
    try Signed.sign(claims, with: bootKey) { try document($0, atMs: atMs) }
  }

  /// The announcement of the sealing key.
  func announcement(
    _ policy: Signed<PolicyClaims>, epoch: UInt64 = 1, atMs: UInt64,
    change: (inout AnnouncementClaims) -> Void = { _ in }
  ) throws -> [UInt8] {
    var claims = AnnouncementClaims(
      epoch: epoch, publicKey: sealing.recipient.publicKey, notBeforeMs: atMs, notAfterMs: atMs + 3_600_000,
      kmsKey: Self.epochKey, policyVersion: policy.claims.version, policyDigest: policy.digest,
      key: bootKey.verifyingKey)
    change(&claims)
    return try sign(claims, atMs: atMs).bytes
  }

  /// What a worker returns of a bundle.
  struct Finished {
    var files: [ResultFile: [UInt8]]
    var receipt: Signed<ReceiptClaims>
  }

  /// Where results come from.
  enum Work {
    /// Numbers of the test's own; items whose text contains "fail" fail.
    case made
    /// A model's, in what the receipt then calls `precision`; `forge` may change the result of an item.
    case computed(
      (JobManifestClaims) throws -> ([GenerationComputer.Line]) -> [LineComputer.Result], precision: String,
      forge: (Int, LineComputer.Result) throws -> LineComputer.Result = { $1 })

    var precision: String { if case .computed(_, let precision, _) = self { precision } else { "fp32" } }

    fileprivate func result(
      of line: [UInt8], at index: Int, _ claims: JobManifestClaims
    ) throws -> (isComputed: Bool, line: [UInt8], tokens: UInt64, truncated: Bool) {
      guard case .computed(let computer, _, let forge) = self else {
        let item = try InputItem(parsing: line, line: index + 1, format: .idText)
        if item.text.contains("fail") {
          let error = OutputLine.ErrorLine(index: index, customID: item.id, code: "test", message: "asked to")
          return (false, error.encoded(), 3, false)
        }
        let embedding = OutputLine.EmbeddingLine(
          index: index, customID: item.id, model: "m", embedding: [Float(index), 1, -0.5], tokens: 3, truncated: false)
        return (true, embedding.encoded(.base64), 3, false)
      }
      var splitter = LineSplitter()
      // The line's own number.
      _ = splitter.feed([UInt8](repeating: 0x0A, count: index))
      let result = try forge(index, computer(claims)(splitter.feed(line + [0x0A]).map { (index, $0) })[0])
      return (result.isComputed, result.line, UInt64(result.tokens), result.truncated)
    }
  }

  /// Opens a bundle by the rules of protocol §3 and seals results.
  func run(
    _ bundle: [UInt8], _ policy: Signed<PolicyClaims>, atMs: UInt64, _ work: Work = .made
  ) throws -> Finished {
    let (manifest, input) = try open(bundle, policy)
    let recipients = try manifest.claims.recipients.map { try HybridRecipient(publicKey: $0) }
    var lines: [ResultFile: [UInt8]] = [.output: [], .errors: []]
    var records: [UInt8] = []
    var tree = MerkleTree()
    var (failed, tokens): (UInt64, UInt64) = (0, 0)
    for (index, line) in input.split(separator: 0x0A).enumerated() {
      let result = try work.result(of: Array(line), at: index, manifest.claims)
      lines[result.isComputed ? .output : .errors, default: []] += result.line + [0x0A]
      failed += result.isComputed ? 0 : 1
      tokens += result.tokens
      let record = ItemRecord(
        index: UInt64(index), status: result.isComputed ? .ok : .failed, input: SHA256.digest(of: line),
        output: SHA256.digest(of: result.line), tokens: result.tokens, truncated: result.truncated)
      tree.append(record.leaf(count: manifest.claims.inputItems, manifestSalt: manifest.claims.salt))
      records += record.encoded()
    }
    let head = ItemsHead(salt: manifest.claims.salt, manifest: manifest.bytes).encoded()
    let trailer = ItemsTrailer(items: tree.count, failedItems: failed, tokens: tokens, fault: nil).encoded()
    var files = [ResultFile.items: try Self.seal(head + records + trailer, recipients)]
    for (file, content) in lines { files[file] = try Self.seal(try Self.padded(content), recipients) }
    let job = ReceiptJob(
      manifest: manifest.digest, model: manifest.claims.model, submitter: manifest.signer.digest,
      stream: manifest.claims.stream.id, sequence: manifest.claims.stream.sequence,
      previous: manifest.claims.stream.previous,
      files: files.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        ReceiptFile(file: $0.key, size: UInt64($0.value.count), sha256: SHA256.digest(of: $0.value))
      }, merkleRoot: tree.root, items: tree.count, failedItems: failed, precision: work.precision)
    let claims = ReceiptClaims(
      outcome: failed == 0 ? .completed : .partial, code: .ok, bundle: SHA256.digest(of: bundle), job: job,
      policyVersion: policy.claims.version, policyDigest: policy.digest, startedMs: atMs - 20, endedMs: atMs - 10,
      software: "test", attempt: 1, key: bootKey.verifyingKey)
    return Finished(files: files, receipt: try sign(claims, atMs: atMs))
  }

  /// The manifest and the input of a bundle, every length and the padding checked.
  func open(_ bundle: [UInt8], _ policy: Signed<PolicyClaims>) throws -> (Signed<JobManifestClaims>, [UInt8]) {
    let plaintext = try AgeDecryptor(identities: [sealing], from: MemorySource(bundle), role: .bundle)
    let length = try plaintext.readExactly(4, "length").reduce(0) { $0 << 8 | Int($1) }
    let manifest = try UnverifiedStatement<JobManifestClaims>(try plaintext.readExactly(length, "manifest"))
      .verified(byOneOf: policy.claims.submitters.map(\.key))
    let inputLength = try plaintext.readExactly(8, "length").reduce(0) { $0 << 8 | Int($1) }
    let input = try plaintext.readExactly(inputLength, "input")
    let padding = try plaintext.readAll(limit: 1 << 30, "padding")
    let used = UInt64(12 + length + inputLength)
    guard padding.allSatisfy({ $0 == 0 }), used + UInt64(padding.count) == (try Padme.paddedSize(used)) else {
      throw WireError.malformed("bundle padding")
    }
    guard SHA256.digest(of: input) == manifest.claims.inputSHA256 else { throw WireError.malformed("input digest") }
    return (manifest, input)
  }

  private static func seal(_ plaintext: [UInt8], _ recipients: [HybridRecipient]) throws -> [UInt8] {
    let sink = MemorySink(limit: 1 << 26)
    let encryptor = try AgeEncryptor(recipients: recipients, to: sink)
    try encryptor.write(plaintext)
    try encryptor.finish()
    return sink.bytes
  }

  /// Blanks before the last newline, up to the Padmé size.
  private static func padded(_ lines: [UInt8]) throws -> [UInt8] {
    guard !lines.isEmpty else { return [] }
    let size = try Padme.paddedSize(UInt64(lines.count))
    return lines.dropLast() + [UInt8](repeating: 0x20, count: Int(size) - lines.count) + [0x0A]
  }
}
