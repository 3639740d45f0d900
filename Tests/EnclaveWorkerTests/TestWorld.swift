import CPlatform
import Crypto
import Inference

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// Everybody whom a job needs: officer, publisher, submitter, recipient, KMS, and a worker that has taken a policy.
final class TestWorld {
  static let epochKey = "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-1111-1111-111111111111"
  static let modelKey = "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-2222-2222-222222222222"

  let labels: [String]
  /// Whether the weights are in several files.
  let isSharded: Bool
  /// A model that continues texts, instead of ``TestModel``.
  let decoder: TestDecoder?
  var operation: String {
    decoder != nil ? "generate" : labels.isEmpty ? "embed" : labels.count == 1 ? "score" : "classify"
  }
  /// What the policy lets the submitter ask for.
  private let operations: [String]
  let officer, publisher, submitter: SigningKey
  let recipient: HybridIdentity
  let kms: TestKMS
  let module = ScriptedModule()
  let enclave: Enclave
  let worker: Worker
  /// The published model, as the host serves it.
  private(set) var model: [JobStream: [UInt8]] = [:]
  private(set) var modelDigest: ContentDigest
  var policyClaims: PolicyClaims
  /// Of the announced epoch.
  private(set) var sealingKey: HybridRecipient?
  private(set) var epochFiles: (announcement: [UInt8], seed: [UInt8])?

  static var now: UInt64 { UInt64(cplatform_now_ms()) }

  /// - Parameter labels: the model classifies (or scores, with one); none for embeddings.
  /// - Parameter memory: of the worker's models.
  init(
    pinsPolicy: Bool = false, labels: [String] = [], isSharded: Bool = false, decoder: TestDecoder? = nil,
    memory: ModelMemory = ModelMemory()
  ) throws {
    (self.labels, self.isSharded, self.decoder) = (labels, isSharded, decoder)
    operations = ["embed", "classify", "score"] + (decoder == nil ? [] : ["generate"])
    (officer, publisher, submitter) = (try .generate(), try .generate(), try .generate())
    recipient = try HybridIdentity.generate()
    kms = try TestKMS()
    let image = Image(
      evidenceClass: .development, policyKey: officer.verifyingKey, kmsRoots: try TestKMS.pem("root.pem"),
      moduleEndpoint: .unix("/unused"), pinsPolicy: pinsPolicy)
    enclave = try Enclave(image: image, module: module)
    worker = Worker(enclave: enclave, memory: memory)
    let files = try decoder?.files ?? Self.files(labels, isSharded)
    let manifest = try Self.publish(files, by: publisher, decoder)
    modelDigest = manifest.digest
    policyClaims = PolicyClaims(
      version: 5, issuedMs: Self.now, notAfterMs: Self.now + 3_600_000, measurements: [], epochKey: Self.epochKey,
      minimumEpoch: 1, epochValidityMs: 600_000, epochGraceMs: 60_000,
      submitters: [
        PolicySubmitter(
          name: "s", key: submitter.verifyingKey, operations: operations,
          models: [manifest.digest])
      ],
      publishers: [PolicyPublisher(name: "p", key: publisher.verifyingKey, modelKey: Self.modelKey)],
      formats: ["safetensors"], dtypes: ["F32"], maximumItems: 10_000, maximumInputBytes: 1 << 30,
      recoveryRecipients: [], requireHybridTLS: true, useFIPSEndpoint: false)
    model[.model(modelDigest, name: "manifest.cose")] = manifest.bytes
    for file in files where !file.isSealed {
      model[.model(modelDigest, name: file.name)] = file.bytes
    }
    try serveWeights()
  }

  /// Seals each weight file under the manifest of the day.
  private func serveWeights() throws {
    for file in try decoder?.files ?? Self.files(labels, isSharded) where file.isSealed {
      model[.model(modelDigest, name: "\(file.name).age")] = try sealWeights(file.bytes)
    }
  }

  private static func files(
    _ labels: [String], _ isSharded: Bool
  ) throws -> [(name: String, bytes: [UInt8], isSealed: Bool)] {
    var files = TestModel.clear(labels).map { (name: $0.key, bytes: $0.value, isSealed: false) }
    guard isSharded else { return files + [("model.safetensors", try TestModel.weights(labels), true)] }
    let shards = try TestModel.shards()
    files.append(("model.safetensors.index.json", shards.index, false))
    return files + shards.files.map { ($0.name, $0.bytes, true) }
  }

  deinit { kms.stop() }

  /// Publishes the same files under other claims, which the policy allows to the submitter.
  ///
  /// - Parameter sealed: more files, sealed like the weights.
  func republish(
    sealing sealed: [String: [UInt8]] = [:], _ change: (inout ModelManifestClaims) -> Void
  ) throws {
    let files = model
    let own = try decoder?.files ?? Self.files(labels, isSharded)
    let manifest = try Self.publish(own, by: publisher, decoder) { claims in
      claims.files += sealed.map {
        ModelFile(name: $0.key, size: UInt64($0.value.count), sha256: SHA256.digest(of: $0.value), isSealed: true)
      }
      change(&claims)
    }
    for (stream, bytes) in files {
      guard case .model(_, let name) = stream else { continue }
      model[.model(manifest.digest, name: name)] = bytes
    }
    modelDigest = manifest.digest
    model[.model(modelDigest, name: "manifest.cose")] = manifest.bytes
    try serveWeights()
    for (name, bytes) in sealed { model[.model(modelDigest, name: name + ".age")] = try sealWeights(bytes) }
    policyClaims.submitters = [
      PolicySubmitter(
        name: "s", key: submitter.verifyingKey, operations: operations,
        models: [modelDigest])
    ]
  }

  private static func publish(
    _ files: [(name: String, bytes: [UInt8], isSealed: Bool)], by publisher: SigningKey, _ decoder: TestDecoder?,
    _ change: (inout ModelManifestClaims) -> Void = { _ in }
  ) throws -> Signed<ModelManifestClaims> {
    let clear = ModelFiles(Dictionary(uniqueKeysWithValues: files.filter { !$0.isSealed }.map { ($0.name, $0.bytes) }))
    let config = try decoder == nil ? ModelConfig(files: clear) : nil
    let files = files.map {
      ModelFile(
        name: $0.name, size: UInt64($0.bytes.count), sha256: SHA256.digest(of: $0.bytes), isSealed: $0.isSealed)
    }
    var claims = ModelManifestClaims(
      name: "tiny", architecture: "bert", format: "safetensors", dtypes: ["F32"],
      operations: [config?.output.operation.rawValue ?? "generate"],
      maximumTokens: 24, dimensions: UInt64(config?.dimensions ?? 0), createdMs: now, files: files)
    decoder?.describe(in: &claims)
    change(&claims)
    return try Signed.sign(claims, with: publisher)
  }

  func sealWeights(_ weights: [UInt8]) throws -> [UInt8] {
    var (blob, key) = kms.makeKey(Self.modelKey, context: KMSEncryptionContext.model(manifest: modelDigest).pairs)
    let recipient = try KMSStanzaRecipient(
      keyARN: Self.modelKey, ciphertextBlob: blob, dataKey: try SecretBytes(copying: &key))
    blob = []
    return try Self.seal(weights, to: [recipient])
  }

  static func seal(_ plaintext: [UInt8], to recipients: [any AgeRecipient]) throws -> [UInt8] {
    let sink = MemorySink(limit: 1 << 28)
    let file = try AgeEncryptor(recipients: recipients, to: sink)
    try file.write(plaintext)
    try file.finish()
    return sink.bytes
  }

  /// Hands the worker the policy as it stands.
  @discardableResult
  func configure(signedBy key: SigningKey? = nil) throws -> OutwardCode {
    let policy = try Signed.sign(policyClaims, with: key ?? officer)
    let configuration = WorkerConfiguration(
      policy: policy.bytes, relay: .unix(kms.socket), accessKeyID: "AKID", secretAccessKey: Array("secret".utf8),
      sessionToken: nil)
    return try TestHost(worker: worker).ask(.configure(configuration)).code
  }

  /// Another boot of the same image, with the policy as it stands: it knows no epoch.
  func anotherWorker() throws -> Worker {
    let image = Image(
      evidenceClass: .development, policyKey: officer.verifyingKey, kmsRoots: try TestKMS.pem("root.pem"),
      moduleEndpoint: .unix("/unused"))
    let worker = Worker(enclave: try Enclave(image: image, module: ScriptedModule()))
    let configuration = WorkerConfiguration(
      policy: try Signed.sign(policyClaims, with: officer).bytes, relay: .unix(kms.socket), accessKeyID: "AKID",
      secretAccessKey: [1], sessionToken: nil)
    guard try TestHost(worker: worker).ask(.configure(configuration)).code == .ok else {
      throw WireError.malformed("configure")
    }
    return worker
  }

  /// Policy and first epoch.
  func start() throws {
    try configure()
    let reply = try TestHost(worker: worker).ask(.createEpoch(1))
    guard let announcement = reply.statement, let seed = reply.seed else { throw WireError.malformed("\(reply.code)") }
    epochFiles = (announcement, seed)
    let claims = try UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
    sealingKey = try HybridRecipient(publicKey: claims.publicKey)
  }

  /// A manifest for `input` as an honest submitter writes it.
  func manifest(for input: [UInt8], items: Int) throws -> JobManifestClaims {
    guard let sealingKey else { throw WireError.malformed("no epoch") }
    return JobManifestClaims(
      policyVersion: 5, sealingKey: SHA256.digest(of: sealingKey.publicKey), createdMs: Self.now,
      notAfterMs: Self.now + 600_000, salt: (0..<32).map { _ in .random(in: 0...255) }, operation: operation,
      encoding: "base64", seed: 0, model: modelDigest, precision: "fp32",
      inputFormat: decoder == nil ? .idText : .openAI,
      inputSHA256: SHA256.digest(of: input), inputItems: UInt64(items), inputBytes: UInt64(input.count),
      recipients: [recipient.recipient.publicKey],
      stream: StreamPosition(
        id: [UInt8](repeating: 3, count: 16), name: "nightly", sequence: 1, previous: nil, voided: []))
  }

  /// The sealed bundle of a manifest and an input.
  func bundle(
    _ claims: JobManifestClaims, _ input: [UInt8], signedBy key: SigningKey? = nil, padding: [UInt8]? = nil,
    to recipients: [any AgeRecipient]? = nil
  ) throws -> [UInt8] {
    let manifest = try Signed.sign(claims, with: key ?? submitter).bytes
    func number(_ value: Int, _ width: Int) -> [UInt8] {
      (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - $0))) }
    }
    var plaintext = number(manifest.count, 4) + manifest + number(input.count, 8) + input
    let padded = Int(try Padme.paddedSize(UInt64(plaintext.count)))
    plaintext += padding ?? [UInt8](repeating: 0, count: padded - plaintext.count)
    guard let sealingKey else { throw WireError.malformed("no epoch") }
    return try Self.seal(plaintext, to: recipients ?? [sealingKey])
  }

  func host(_ bundle: [UInt8]) -> TestHost {
    TestHost(worker: worker, objects: model.merging([.bundle: bundle]) { $1 })
  }

  static func lines(_ count: Int) -> [UInt8] {
    let words = ["a", "b", "c", "d", "e", "ab", "ac", "."]
    return (0..<count).flatMap { index in
      InputItem.idTextLine(
        id: "doc-\(index)", text: (0...index % 30).map { words[($0 + index) % words.count] }.joined(separator: " "))
        + [UInt8(ascii: "\n")]
    }
  }

  /// Opens a sealed result file as its recipient.
  func open(_ file: ResultFile, of seen: SeenJob) throws -> [UInt8] {
    try AgeDecryptor(
      identities: [recipient], from: MemorySource(seen.files[file] ?? []), role: .result(recipientCount: 1)
    ).readAll(limit: 1 << 28, file.name)
  }

  /// Head, records and trailer of `items.cbor`.
  func items(of seen: SeenJob) throws -> (head: ItemsHead, records: [ItemRecord], trailer: ItemsTrailer) {
    let reader = ItemsReader(MemorySource(try open(.items, of: seen)))
    guard let first = try reader.next() else { throw WireError.truncated("items") }
    var records: [ItemRecord] = []
    while let item = try reader.next() {
      if ItemsTrailer.isTrailer(item) { return (try ItemsHead(first), records, try ItemsTrailer(item)) }
      records.append(try ItemRecord(item))
    }
    throw WireError.truncated("items")
  }
}
