import SealedCrypto
import Wire

/// The security officer's policy as a file that people read and review; ``PolicyTemplate`` explains every key.
package enum PolicySource {
  private static let dayMs: UInt64 = 86_400_000
  private static let hourMs: UInt64 = 3_600_000

  private static let keys: Set<String> = [
    "version", "not_after", "valid_for_days", "measurements", "epoch_key", "minimum_epoch", "epoch_validity_hours",
    "epoch_grace_hours", "submitters", "publishers", "formats", "dtypes", "maximum_items", "maximum_input_bytes",
    "recovery_recipients", "require_hybrid_tls", "fips_endpoint", "precisions",
    "model_precisions",
  ]
  /// The keys of each entry of a list.
  private static let entryKeys: [(list: String, keys: Set<String>)] = [
    ("measurements", ["name", "pcr0", "pcr1", "pcr2", "pcr8", "note"]),
    ("submitters", ["name", "key", "operations", "models"]), ("publishers", ["name", "key", "model_key"]),
    ("model_precisions", ["model", "precisions"]),
  ]

  /// Reads the file and checks it as strictly as the worker will. Unknown keys come before anything else: a rule that
  /// was misspelt, and so would not hold, must not hide behind another mistake.
  ///
  /// - Returns: the claims, and the names of measurements that have no `note`.
  /// - Throws: ``ClientError`` of kind `usage` naming file, line and key.
  package static func read(
    _ bytes: [UInt8], file: String, nowMs: UInt64
  ) throws -> (claims: PolicyClaims, unexplained: Set<String>) {
    var fields = try YAMLFields(parsing: bytes, file: file)
    try fields.refuseOthers(than: keys)
    for (list, keys) in entryKeys {
      var copy = fields
      for entry in try copy.mappings(list) { try entry.refuseOthers(than: keys) }
    }
    var notes = fields
    let unexplained = try notes.mappings("measurements").compactMap { entry -> String? in
      var entry = entry
      guard try entry.optionalText("note")?.isEmpty ?? true else { return nil }
      return try entry.optionalText("name")
    }
    return (try claims(&fields, file: file, nowMs: nowMs), Set(unexplained))
  }

  private static func claims(_ fields: inout YAMLFields, file: String, nowMs: UInt64) throws -> PolicyClaims {
    let claims = PolicyClaims(
      version: try fields.unsigned("version"), issuedMs: nowMs, notAfterMs: try notAfter(&fields, nowMs),
      measurements: try fields.mappings("measurements").map(measurement), epochKey: try arn(&fields, "epoch_key"),
      minimumEpoch: try fields.unsigned("minimum_epoch", default: 1),
      epochValidityMs: try hours(&fields, "epoch_validity_hours", default: 168),
      epochGraceMs: try hours(&fields, "epoch_grace_hours", default: 48),
      submitters: try fields.mappings("submitters").map(submitter),
      publishers: try fields.mappings("publishers").map(publisher),
      formats: try fields.texts("formats", default: ["safetensors"]),
      dtypes: try fields.texts("dtypes", default: ["F32"]),
      maximumItems: try fields.unsigned("maximum_items", default: UInt64(Limits.itemsPerJob)),
      maximumInputBytes: try fields.unsigned("maximum_input_bytes", default: Limits.inputBytes),
      recoveryRecipients: try fields.texts("recovery_recipients", default: []).map(recipient),
      requireHybridTLS: try fields.bool("require_hybrid_tls", default: true),
      useFIPSEndpoint: try fields.bool("fips_endpoint", default: false),
      precisions: fields.has("precisions") ? try fields.texts("precisions") : nil,
      modelPrecisions: try fields.mappings("model_precisions").map(precisions))
    try fields.finish()
    guard !claims.measurements.isEmpty else {
      throw ClientError(
        .usage, "\(file): no measurements: no enclave would be accepted", remedy: "list at least one image")
    }
    // The reader of signed policies is the judge of what a policy may say.
    let encoded = CBOR.object(claims.fields).encoded()
    do {
      var again = try CBORFields(try CBORDecoder.decode(encoded), in: "policy")
      _ = try PolicyClaims(reading: &again)
    } catch {
      throw ClientError(.usage, "\(file): \(error)", remedy: "mend the file")
    }
    return claims
  }

  private static func notAfter(_ fields: inout YAMLFields, _ nowMs: UInt64) throws -> UInt64 {
    let wrong = fields.failure("not_after", "must be a time such as 2027-02-20T00:00:00Z, later than now")
    let wrongDays = fields.failure("valid_for_days", "must be 1 to 1100 days, unless there is `not_after`")
    if let text = try fields.optionalText("not_after") {
      guard let time = Timestamps.milliseconds(text), time > nowMs else { throw wrong }
      return time
    }
    let days = try fields.unsigned("valid_for_days", default: 0)
    guard (1...1100).contains(days) else { throw wrongDays }
    return nowMs + days * dayMs
  }

  private static func hours(_ fields: inout YAMLFields, _ key: String, default fallback: UInt64) throws -> UInt64 {
    let wrong = fields.failure(key, "must be 1 to 10000 hours")
    let hours = try fields.unsigned(key, default: fallback)
    guard (1...10_000).contains(hours) else { throw wrong }
    return hours * hourMs
  }

  private static func arn(_ fields: inout YAMLFields, _ key: String) throws -> String {
    let wrong = fields.failure(key, "must be a full KMS key ARN (arn:aws:kms:…:key/…), no alias")
    let text = try fields.text(key)
    guard KMSStanza.isKeyARN(text) else { throw wrong }
    return text
  }

  private static func hex(_ fields: inout YAMLFields, _ key: String, bytes: Int) throws -> [UInt8] {
    let wrong = fields.failure(key, "must be \(bytes * 2) lower-case hexadecimal digits")
    guard let value = Hex.decode(try fields.text(key)), value.count == bytes else { throw wrong }
    return value
  }

  private static func measurement(_ source: YAMLFields) throws -> MeasurementTuple {
    var fields = source
    let name = try fields.text("name")
    let pcrs = try ["pcr0", "pcr1", "pcr2"].map { try hex(&fields, $0, bytes: 48) }
    let wrong = fields.failure("pcr8", "must be 96 lower-case hexadecimal digits")
    let pcr8 = try fields.optionalText("pcr8").map { text in
      guard let value = Hex.decode(text), value.count == 48 else { throw wrong }
      return value
    }
    // For the file's readers; `policy lint` asks for it.
    _ = try fields.optionalText("note")
    try fields.finish()
    return MeasurementTuple(name: name, pcr0: pcrs[0], pcr1: pcrs[1], pcr2: pcrs[2], pcr8: pcr8)
  }

  private static func submitter(_ source: YAMLFields) throws -> PolicySubmitter {
    var fields = source
    let wrong = fields.failure("models", "must be model manifest digests: 64 hexadecimal digits each")
    let submitter = PolicySubmitter(
      name: try fields.text("name"), key: try VerifyingKey(try hex(&fields, "key", bytes: 32)),
      operations: try fields.texts("operations", default: ["embed"]),
      models: try fields.texts("models").map { text in
        guard let digest = ContentDigest(hex: text) else { throw wrong }
        return digest
      })
    try fields.finish()
    return submitter
  }

  private static func precisions(_ source: YAMLFields) throws -> ModelPrecisions {
    var fields = source
    let wrong = fields.failure("model", "must be a model manifest's digest: 64 hexadecimal digits")
    guard let model = ContentDigest(hex: try fields.text("model")) else { throw wrong }
    let precisions = ModelPrecisions(model: model, precisions: try fields.texts("precisions"))
    try fields.finish()
    return precisions
  }

  private static func publisher(_ source: YAMLFields) throws -> PolicyPublisher {
    var fields = source
    let publisher = PolicyPublisher(
      name: try fields.text("name"), key: try VerifyingKey(try hex(&fields, "key", bytes: 32)),
      modelKey: try arn(&fields, "model_key"))
    try fields.finish()
    return publisher
  }

  private static func recipient(_ text: String) throws -> [UInt8] {
    do {
      return try HybridRecipient(text).publicKey
    } catch {
      throw ClientError(
        .usage, "a recovery recipient is no age1pq1… recipient: \(error)", remedy: "mend the policy file")
    }
  }
}
