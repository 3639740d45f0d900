import Wire

/// The measurements of one enclave image, always taken together: mixing PCRs of two images is no image (protocol §4).
package struct MeasurementTuple: Hashable, Sendable {
  /// What a person calls this image.
  package let name: String
  /// 48 bytes each: the image, its kernel and init, its application.
  package let pcr0, pcr1, pcr2: [UInt8]
  /// The signing certificate's measurement; nil where the image is not signed.
  package let pcr8: [UInt8]?

  package init(name: String, pcr0: [UInt8], pcr1: [UInt8], pcr2: [UInt8], pcr8: [UInt8]?) {
    self.name = name
    self.pcr0 = pcr0
    self.pcr1 = pcr1
    self.pcr2 = pcr2
    self.pcr8 = pcr8
  }

  var item: CBOR {
    .object([
      ("name", .text(name)), ("pcr0", .bytes(pcr0)), ("pcr1", .bytes(pcr1)), ("pcr2", .bytes(pcr2)),
      ("pcr8", pcr8.map { .bytes($0) }),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "policy measurement")
    name = try fields.text("name", limit: 128)
    pcr0 = try fields.bytes("pcr0", count: 48)
    pcr1 = try fields.bytes("pcr1", count: 48)
    pcr2 = try fields.bytes("pcr2", count: 48)
    pcr8 = try fields.optionalBytes("pcr8", count: 48)
    try fields.finish()
    // A debug-mode enclave reports zeros: a policy that lists them would accept an enclave whose memory the host reads.
    for pcr in [pcr0, pcr1, pcr2] where pcr.allSatisfy({ $0 == 0 }) {
      throw WireError.malformed("policy measurement: a PCR of zeros is a debug-mode enclave's")
    }
  }
}

/// A team member who may submit, and what he may ask for.
package struct PolicySubmitter: Hashable, Sendable {
  package let name: String
  /// Signs job manifests and cancels.
  package let key: VerifyingKey
  /// Operations, such as `embed`.
  package let operations: [String]
  /// Digests of model manifests.
  package let models: [ContentDigest]

  package init(name: String, key: VerifyingKey, operations: [String], models: [ContentDigest]) {
    self.name = name
    self.key = key
    self.operations = operations
    self.models = models
  }

  var item: CBOR {
    .object([
      ("name", .text(name)), ("key", .bytes(key.bytes)), ("operations", .array(operations.map { .text($0) })),
      ("models", .array(models.map { .bytes($0.bytes) })),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "policy submitter")
    name = try fields.text("name", limit: 128)
    key = try VerifyingKey(try fields.bytes("key", count: 32))
    operations = try fields.texts("operations", limit: 16)
    models = try fields.byteStrings("models", count: 32).map { try ContentDigest($0) }
    try fields.finish()
  }
}

/// A model owner whose manifests are accepted.
package struct PolicyPublisher: Hashable, Sendable {
  package let name: String
  /// Signs model manifests.
  package let key: VerifyingKey
  /// The full ARN of the KMS key under which this owner's weights are encrypted.
  package let modelKey: String

  package init(name: String, key: VerifyingKey, modelKey: String) {
    self.name = name
    self.key = key
    self.modelKey = modelKey
  }

  var item: CBOR {
    .object([("name", .text(name)), ("key", .bytes(key.bytes)), ("model_key", .text(modelKey))])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "policy publisher")
    name = try fields.text("name", limit: 128)
    key = try VerifyingKey(try fields.bytes("key", count: 32))
    modelKey = try fields.text("model_key", limit: 2048)
    try fields.finish()
  }
}

/// The precisions that may be computed with one model, in place of those for all.
package struct ModelPrecisions: Hashable, Sendable {
  /// Digest of the model's manifest.
  package let model: ContentDigest
  /// Such as `fp32`; at least one.
  package let precisions: [String]

  package init(model: ContentDigest, precisions: [String]) {
    self.model = model
    self.precisions = precisions
  }

  var item: CBOR {
    .object([("model", .bytes(model.bytes)), ("precisions", .array(precisions.map { .text($0) }))])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "policy model precisions")
    model = try fields.digest("model")
    precisions = try fields.texts("precisions", limit: 16)
    try fields.finish()
  }
}

/// What the security officer signs offline: who and what is allowed. Times are milliseconds since 1970.
package struct PolicyClaims: StatementClaims, Equatable {
  package static let kind = StatementKind.policy

  /// Only grows; a lower one than the newest accepted is a rollback.
  package var version: UInt64
  package var issuedMs: UInt64
  /// After this the policy is refused, which bounds how long a rolled-back one lives.
  package var notAfterMs: UInt64
  package var measurements: [MeasurementTuple]
  /// Full ARN of the KMS key that guards the epochs' sealing keys.
  package var epochKey: String
  package var minimumEpoch: UInt64
  /// Longest validity of an announcement, counted from its document's time.
  package var epochValidityMs: UInt64
  /// How long after an epoch's end the worker still opens its bundles.
  package var epochGraceMs: UInt64
  package var submitters: [PolicySubmitter]
  package var publishers: [PolicyPublisher]
  /// Weight formats that a worker may load, such as `safetensors`.
  package var formats: [String]
  /// Weight types that a worker may load, such as `F32`.
  package var dtypes: [String]
  /// Precisions that a worker may compute in, such as `int8`; nil for all.
  package var precisions: [String]?
  /// The same for single models, in place of `precisions`.
  package var modelPrecisions: [ModelPrecisions]
  package var maximumItems: UInt64
  package var maximumInputBytes: UInt64
  /// Post-quantum recipients (1,216 bytes each) that every manifest must name; the worker refuses a job without them.
  package var recoveryRecipients: [[UInt8]]
  /// TLS to KMS must use X25519MLKEM768.
  package var requireHybridTLS: Bool
  /// KMS is reached at its FIPS name.
  package var useFIPSEndpoint: Bool

  package init(
    version: UInt64, issuedMs: UInt64, notAfterMs: UInt64, measurements: [MeasurementTuple], epochKey: String,
    minimumEpoch: UInt64, epochValidityMs: UInt64, epochGraceMs: UInt64, submitters: [PolicySubmitter],
    publishers: [PolicyPublisher], formats: [String], dtypes: [String], maximumItems: UInt64,
    maximumInputBytes: UInt64, recoveryRecipients: [[UInt8]], requireHybridTLS: Bool, useFIPSEndpoint: Bool,
    precisions: [String]? = nil, modelPrecisions: [ModelPrecisions] = []
  ) {
    self.precisions = precisions
    self.modelPrecisions = modelPrecisions
    self.version = version
    self.issuedMs = issuedMs
    self.notAfterMs = notAfterMs
    self.measurements = measurements
    self.epochKey = epochKey
    self.minimumEpoch = minimumEpoch
    self.epochValidityMs = epochValidityMs
    self.epochGraceMs = epochGraceMs
    self.submitters = submitters
    self.publishers = publishers
    self.formats = formats
    self.dtypes = dtypes
    self.maximumItems = maximumItems
    self.maximumInputBytes = maximumInputBytes
    self.recoveryRecipients = recoveryRecipients
    self.requireHybridTLS = requireHybridTLS
    self.useFIPSEndpoint = useFIPSEndpoint
  }

  package var fields: [(String, CBOR?)] {
    [
      ("version", .unsigned(version)), ("issued", .unsigned(issuedMs)), ("not_after", .unsigned(notAfterMs)),
      ("measurements", .array(measurements.map(\.item))), ("epoch_key", .text(epochKey)),
      ("minimum_epoch", .unsigned(minimumEpoch)), ("epoch_validity", .unsigned(epochValidityMs)),
      ("epoch_grace", .unsigned(epochGraceMs)), ("submitters", .array(submitters.map(\.item))),
      ("publishers", .array(publishers.map(\.item))), ("formats", .array(formats.map { .text($0) })),
      ("dtypes", .array(dtypes.map { .text($0) })), ("maximum_items", .unsigned(maximumItems)),
      ("maximum_input_bytes", .unsigned(maximumInputBytes)),
      ("recovery_recipients", .array(recoveryRecipients.map { .bytes($0) })),
      ("require_hybrid_tls", .bool(requireHybridTLS)), ("fips_endpoint", .bool(useFIPSEndpoint)),
      ("precisions", precisions.map { .array($0.map { .text($0) }) }),
      ("model_precisions", modelPrecisions.isEmpty ? nil : .array(modelPrecisions.map(\.item))),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    version = try fields.unsigned("version")
    issuedMs = try fields.unsigned("issued")
    notAfterMs = try fields.unsigned("not_after")
    measurements = try fields.array("measurements", limit: 64) { try MeasurementTuple($0) }
    epochKey = try fields.text("epoch_key", limit: 2048)
    minimumEpoch = try fields.unsigned("minimum_epoch")
    epochValidityMs = try fields.unsigned("epoch_validity")
    epochGraceMs = try fields.unsigned("epoch_grace")
    submitters = try fields.array("submitters", limit: 4096) { try PolicySubmitter($0) }
    publishers = try fields.array("publishers", limit: 256) { try PolicyPublisher($0) }
    formats = try fields.texts("formats", limit: 16)
    dtypes = try fields.texts("dtypes", limit: 32)
    maximumItems = try fields.unsigned("maximum_items", limit: UInt64(Limits.itemsPerJob))
    maximumInputBytes = try fields.unsigned("maximum_input_bytes", limit: Limits.inputBytes)
    recoveryRecipients = try fields.byteStrings("recovery_recipients", count: 1216, limit: Limits.recipients)
    requireHybridTLS = try fields.bool("require_hybrid_tls")
    useFIPSEndpoint = try fields.bool("fips_endpoint")
    precisions = try fields.optionalArray("precisions", limit: 16) { item in
      guard case .text(let text) = item, text.utf8.count <= 16 else { throw WireError.malformed("policy: precisions") }
      return text
    }
    modelPrecisions = try fields.optionalArray("model_precisions", limit: 4096) { try ModelPrecisions($0) } ?? []
    guard Set(modelPrecisions.map(\.model)).count == modelPrecisions.count else {
      throw WireError.malformed("policy: a model's precisions stand twice")
    }
    guard Set(submitters.map(\.key)).count == submitters.count else {
      throw WireError.malformed("policy: a submitter key stands twice")
    }
    guard Set(publishers.map(\.key)).count == publishers.count else {
      throw WireError.malformed("policy: a publisher key stands twice")
    }
    // Publishers may encrypt under their keys; whoever may encrypt under the epoch key could make seeds of his own.
    guard !publishers.contains(where: { $0.modelKey == epochKey }) else {
      throw WireError.malformed("policy: a publisher's model key is the epoch key")
    }
  }

  /// Whether an epoch may have this number: from the minimum, and less than ``Limits/epochsAboveMinimum`` above it, so
  /// that a raised minimum reaches every number that any host could have picked before.
  package func permits(epoch number: UInt64) -> Bool {
    number >= minimumEpoch && number - minimumEpoch < Limits.epochsAboveMinimum
  }
  /// The submitter with this key.
  package func submitter(_ key: VerifyingKey) -> PolicySubmitter? { submitters.first { $0.key == key } }
  /// The publisher with this key.
  package func publisher(_ key: VerifyingKey) -> PolicyPublisher? { publishers.first { $0.key == key } }
}
