import Wire

/// One sealed result file as the receipt binds it.
package struct ReceiptFile: Hashable, Sendable {
  package let file: ResultFile
  /// Size of the sealed bytes.
  package let size: UInt64
  /// SHA-256 of the sealed bytes.
  package let sha256: ContentDigest

  package init(file: ResultFile, size: UInt64, sha256: ContentDigest) {
    self.file = file
    self.size = size
    self.sha256 = sha256
  }

  var item: CBOR {
    .object([("name", .text(file.sealedName)), ("size", .unsigned(size)), ("sha256", .bytes(sha256.bytes))])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "receipt file")
    let name = try fields.text("name", limit: 64)
    guard let file = ResultFile.allCases.first(where: { $0.sealedName == name }) else {
      throw WireError.malformed("receipt file: unknown name")
    }
    self.file = file
    size = try fields.unsigned("size")
    sha256 = try fields.digest("sha256")
    try fields.finish()
  }
}

/// What a receipt binds once the manifest has verified (protocol §6).
package struct ReceiptJob: Hashable, Sendable {
  /// ContentDigest of the job manifest's COSE bytes.
  package var manifest: ContentDigest
  /// ContentDigest of the model manifest's COSE bytes.
  package var model: ContentDigest
  /// SHA-256 of the submitter's key.
  package var submitter: ContentDigest
  /// The stream's 16 bytes.
  package var stream: [UInt8]
  package var sequence: UInt64
  package var previous: ContentDigest?
  package var files: [ReceiptFile]
  /// Merkle root over the items (RFC 9162 §2.1).
  package var merkleRoot: ContentDigest
  package var items: UInt64
  /// Items without a result.
  package var failedItems: UInt64
  /// What was computed in; the manifest's word where the job ended before that was decided.
  package var precision: String

  package init(
    manifest: ContentDigest, model: ContentDigest, submitter: ContentDigest, stream: [UInt8], sequence: UInt64,
    previous: ContentDigest?,
    files: [ReceiptFile], merkleRoot: ContentDigest, items: UInt64, failedItems: UInt64, precision: String
  ) {
    self.manifest = manifest
    self.model = model
    self.submitter = submitter
    self.stream = stream
    self.sequence = sequence
    self.previous = previous
    self.files = files
    self.merkleRoot = merkleRoot
    self.items = items
    self.failedItems = failedItems
    self.precision = precision
  }

  var item: CBOR {
    .object([
      ("manifest", .bytes(manifest.bytes)), ("model", .bytes(model.bytes)), ("submitter", .bytes(submitter.bytes)),
      ("stream", .bytes(stream)), ("sequence", .unsigned(sequence)), ("previous", previous.map { .bytes($0.bytes) }),
      ("files", .array(files.map(\.item))), ("merkle_root", .bytes(merkleRoot.bytes)), ("items", .unsigned(items)),
      ("failed_items", .unsigned(failedItems)), ("precision", .text(precision)),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "receipt job")
    manifest = try fields.digest("manifest")
    model = try fields.digest("model")
    submitter = try fields.digest("submitter")
    stream = try fields.bytes("stream", count: 16)
    sequence = try fields.unsigned("sequence")
    previous = try fields.optionalDigest("previous")
    files = try fields.array("files", limit: ResultFile.allCases.count) { try ReceiptFile($0) }
    merkleRoot = try fields.digest("merkle_root")
    items = try fields.unsigned("items", limit: UInt64(Limits.itemsPerJob))
    failedItems = try fields.unsigned("failed_items", limit: items)
    precision = try fields.text("precision", limit: 16)
    try fields.finish()
    guard Set(files.map(\.file)).count == files.count else { throw WireError.malformed("receipt: a file stands twice") }
  }
}

/// The enclave's word on one job: signed by the boot key, attested. Times are the security module's, in milliseconds.
package struct ReceiptClaims: AttestedClaims, Equatable {
  package static let kind = StatementKind.receipt

  package var outcome: JobOutcome
  package var code: OutwardCode
  /// SHA-256 of the sealed bundle that was read: the job's name.
  package var bundle: JobName
  /// Nil where the manifest did not verify: then nothing that it says is repeated here.
  package var job: ReceiptJob?
  package var policyVersion: UInt64
  package var policyDigest: ContentDigest
  package var startedMs: UInt64
  package var endedMs: UInt64
  package var software: String
  /// The host's word.
  package var attempt: UInt64
  package var key: VerifyingKey

  package init(
    outcome: JobOutcome, code: OutwardCode, bundle: JobName, job: ReceiptJob?, policyVersion: UInt64,
    policyDigest: ContentDigest, startedMs: UInt64, endedMs: UInt64, software: String, attempt: UInt64,
    key: VerifyingKey
  ) {
    self.outcome = outcome
    self.code = code
    self.bundle = bundle
    self.job = job
    self.policyVersion = policyVersion
    self.policyDigest = policyDigest
    self.startedMs = startedMs
    self.endedMs = endedMs
    self.software = software
    self.attempt = attempt
    self.key = key
  }

  package var fields: [(String, CBOR?)] {
    [
      ("outcome", .text(outcome.rawValue)), ("code", .unsigned(code.rawValue)), ("bundle", .bytes(bundle.bytes)),
      ("job", job?.item), ("policy_version", .unsigned(policyVersion)), ("policy_digest", .bytes(policyDigest.bytes)),
      ("started", .unsigned(startedMs)), ("ended", .unsigned(endedMs)), ("software", .text(software)),
      ("attempt", .unsigned(attempt)), ("key", .bytes(key.bytes)),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    guard let outcome = JobOutcome(rawValue: try fields.text("outcome", limit: 16)),
      let code = OutwardCode(rawValue: try fields.unsigned("code"))
    else { throw WireError.malformed("receipt: unknown outcome or code") }
    self.outcome = outcome
    self.code = code
    bundle = try fields.digest("bundle")
    job = try fields.optional("job").map { try ReceiptJob($0) }
    policyVersion = try fields.unsigned("policy_version")
    policyDigest = try fields.digest("policy_digest")
    startedMs = try fields.unsigned("started")
    endedMs = try fields.unsigned("ended")
    software = try fields.text("software", limit: 64)
    attempt = try fields.unsigned("attempt")
    key = try VerifyingKey(try fields.bytes("key", count: 32))
    guard startedMs <= endedMs else { throw WireError.malformed("receipt: ended before it started") }
    guard code == outcome.code, code != .ok || job != nil else {
      throw WireError.malformed("receipt: the outcome and the code contradict each other")
    }
  }
}

/// What a worker says of itself when it is asked.
package struct StatusClaims: AttestedClaims, Equatable {
  package static let kind = StatementKind.status

  package var timeMs: UInt64
  package var software: String
  /// Zero and nil before a policy was installed.
  package var policyVersion: UInt64
  package var policyDigest: ContentDigest?
  package var epochs: [UInt64]
  /// The host's, at most 64 bytes.
  package var nonce: [UInt8]
  package var key: VerifyingKey

  package init(
    timeMs: UInt64, software: String, policyVersion: UInt64, policyDigest: ContentDigest?, epochs: [UInt64],
    nonce: [UInt8],
    key: VerifyingKey
  ) {
    self.timeMs = timeMs
    self.software = software
    self.policyVersion = policyVersion
    self.policyDigest = policyDigest
    self.epochs = epochs
    self.nonce = nonce
    self.key = key
  }

  package var fields: [(String, CBOR?)] {
    [
      ("time", .unsigned(timeMs)), ("software", .text(software)), ("policy_version", .unsigned(policyVersion)),
      ("policy_digest", policyDigest.map { .bytes($0.bytes) }), ("epochs", .array(epochs.map { .unsigned($0) })),
      ("nonce", .bytes(nonce)), ("key", .bytes(key.bytes)),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    timeMs = try fields.unsigned("time")
    software = try fields.text("software", limit: 64)
    policyVersion = try fields.unsigned("policy_version")
    policyDigest = try fields.optionalDigest("policy_digest")
    epochs = try fields.array("epochs", limit: Limits.epochs) { item in
      guard case .unsigned(let number) = item else { throw WireError.malformed("status: epochs") }
      return number
    }
    nonce = try fields.bytes("nonce", limit: 64)
    key = try VerifyingKey(try fields.bytes("key", count: 32))
  }
}
