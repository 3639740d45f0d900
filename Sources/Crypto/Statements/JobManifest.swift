import Wire

/// How the input's lines are written.
package enum InputFormat: String, Sendable, CaseIterable {
  /// OpenAI batch lines: `custom_id`, `method`, `url`, `body`.
  case openAI = "openai"
  /// Lines of `{"id", "text"}`.
  case idText = "id-text"
}

/// Where a job stands in its submitter's stream (protocol §7).
package struct StreamPosition: Hashable, Sendable {
  /// 16 random bytes; the stream's name stays inside the manifest.
  package let id: [UInt8]
  package let name: String
  /// Numbered from 1 without gaps.
  package let sequence: UInt64
  /// ContentDigest of the manifest before this one; nil for the first.
  package let previous: ContentDigest?
  /// Earlier numbers that will never come, at most ``voidedLimit``.
  package let voided: [UInt64]
  /// Numbers that one manifest can void.
  package static let voidedLimit = 4096

  package init(id: [UInt8], name: String, sequence: UInt64, previous: ContentDigest?, voided: [UInt64]) {
    self.id = id
    self.name = name
    self.sequence = sequence
    self.previous = previous
    self.voided = voided
  }

  var item: CBOR {
    .object([
      ("id", .bytes(id)), ("name", .text(name)), ("sequence", .unsigned(sequence)),
      ("previous", previous.map { .bytes($0.bytes) }), ("voided", .array(voided.map { .unsigned($0) })),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "manifest stream")
    id = try fields.bytes("id", count: 16)
    name = try fields.text("name", limit: 128)
    sequence = try fields.unsigned("sequence")
    previous = try fields.optionalDigest("previous")
    voided = try fields.array("voided", limit: Self.voidedLimit) { item in
      guard case .unsigned(let number) = item else { throw WireError.malformed("manifest stream: voided") }
      return number
    }
    try fields.finish()
    guard sequence > 0, (sequence == 1) == (previous == nil), voided.allSatisfy({ $0 > 0 && $0 < sequence }) else {
      throw WireError.malformed("manifest stream: the first has number 1 and no previous, every later one has one")
    }
  }
}

/// What the submitter signs, sealed inside the bundle (protocol §5). Times are milliseconds since 1970.
package struct JobManifestClaims: StatementClaims, Equatable {
  package static let kind = StatementKind.manifest
  /// What ``maximumOutputTokens`` may be.
  package static let outputTokensLimit: UInt64 = 1 << 17

  /// The policy that the submitter knew; a worker with an older one refuses.
  package var policyVersion: UInt64
  /// SHA-256 of the sealing key's 1,216 bytes.
  package var sealingKey: ContentDigest
  package var createdMs: UInt64
  package var notAfterMs: UInt64
  /// 32 random bytes, from which the items' salts come.
  package var salt: [UInt8]
  /// What to compute, such as `embed`.
  package var operation: String
  /// Name of the model's prompt to put before each text; nil for the model's default.
  package var prompt: String?
  /// How embeddings are written: `base64` (little-endian f32) or `float`.
  package var encoding: String
  /// Seed of whatever is sampled, where a line says none.
  package var seed: UInt64
  /// Tokens of an output at most, where a line says nothing; nil leaves that to the worker's own default, and stands
  /// wherever no text is made.
  package var maximumOutputTokens: UInt64?
  /// ContentDigest of the model manifest.
  package var model: ContentDigest
  /// What is to be computed in: `fp32`, `bf16`, `int8`, or `auto`, which the worker resolves.
  package var precision: String
  package var inputFormat: InputFormat
  package var inputSHA256: ContentDigest
  package var inputItems: UInt64
  package var inputBytes: UInt64
  /// 1,216-byte post-quantum recipients of the results, at least one.
  package var recipients: [[UInt8]]
  package var stream: StreamPosition

  package init(
    policyVersion: UInt64, sealingKey: ContentDigest, createdMs: UInt64, notAfterMs: UInt64, salt: [UInt8],
    operation: String, prompt: String? = nil, encoding: String, seed: UInt64, maximumOutputTokens: UInt64? = nil,
    model: ContentDigest, precision: String, inputFormat: InputFormat,
    inputSHA256: ContentDigest, inputItems: UInt64, inputBytes: UInt64, recipients: [[UInt8]], stream: StreamPosition
  ) {
    self.policyVersion = policyVersion
    self.sealingKey = sealingKey
    self.createdMs = createdMs
    self.notAfterMs = notAfterMs
    self.salt = salt
    self.operation = operation
    self.prompt = prompt
    self.encoding = encoding
    self.seed = seed
    self.maximumOutputTokens = maximumOutputTokens
    self.model = model
    self.precision = precision
    self.inputFormat = inputFormat
    self.inputSHA256 = inputSHA256
    self.inputItems = inputItems
    self.inputBytes = inputBytes
    self.recipients = recipients
    self.stream = stream
  }

  package var fields: [(String, CBOR?)] {
    [
      ("policy_version", .unsigned(policyVersion)), ("sealing_key", .bytes(sealingKey.bytes)),
      ("created", .unsigned(createdMs)), ("not_after", .unsigned(notAfterMs)), ("salt", .bytes(salt)),
      ("operation", .text(operation)), ("prompt", prompt.map { .text($0) }), ("encoding", .text(encoding)),
      ("seed", .unsigned(seed)), ("maximum_output_tokens", maximumOutputTokens.map { .unsigned($0) }),
      ("model", .bytes(model.bytes)), ("precision", .text(precision)), ("input_format", .text(inputFormat.rawValue)),
      ("input_sha256", .bytes(inputSHA256.bytes)), ("input_items", .unsigned(inputItems)),
      ("input_bytes", .unsigned(inputBytes)), ("recipients", .array(recipients.map { .bytes($0) })),
      ("stream", stream.item),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    policyVersion = try fields.unsigned("policy_version")
    sealingKey = try fields.digest("sealing_key")
    createdMs = try fields.unsigned("created")
    notAfterMs = try fields.unsigned("not_after")
    salt = try fields.bytes("salt", count: 32)
    operation = try fields.text("operation", limit: 32)
    prompt = try fields.optionalText("prompt", limit: 64)
    encoding = try fields.text("encoding", limit: 16)
    seed = try fields.unsigned("seed", limit: .max)
    maximumOutputTokens = try fields.optionalUnsigned("maximum_output_tokens", limit: Self.outputTokensLimit)
    model = try fields.digest("model")
    precision = try fields.text("precision", limit: 16)
    guard let format = InputFormat(rawValue: try fields.text("input_format", limit: 32)) else {
      throw WireError.malformed("manifest: unknown input format")
    }
    inputFormat = format
    inputSHA256 = try fields.digest("input_sha256")
    inputItems = try fields.unsigned("input_items", limit: UInt64(Limits.itemsPerJob))
    inputBytes = try fields.unsigned("input_bytes", limit: Limits.inputBytes)
    recipients = try fields.byteStrings("recipients", count: 1216, limit: Limits.recipients)
    stream = try StreamPosition(try fields.item("stream"))
    guard !recipients.isEmpty, Set(recipients).count == recipients.count else {
      throw WireError.malformed("manifest: needs at least one recipient, and none twice")
    }
    guard maximumOutputTokens != 0 else { throw WireError.malformed("manifest: maximum_output_tokens must not be 0") }
    guard encoding == "base64" || encoding == "float" else { throw WireError.malformed("manifest: unknown encoding") }
  }
}

/// A submitter's wish to stop a job; put into `inbox/` like a job.
package struct CancelClaims: StatementClaims, Equatable {
  package static let kind = StatementKind.cancel

  package var job: JobName
  package var issuedMs: UInt64

  package init(job: JobName, issuedMs: UInt64) {
    self.job = job
    self.issuedMs = issuedMs
  }

  package var fields: [(String, CBOR?)] { [("job", .bytes(job.bytes)), ("issued", .unsigned(issuedMs))] }

  package init(reading fields: inout CBORFields) throws {
    job = try fields.digest("job")
    issuedMs = try fields.unsigned("issued")
  }
}
