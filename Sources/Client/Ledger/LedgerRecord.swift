import SealedCrypto
import Wire

/// What the ledger keeps of one job: written once, before the first byte is uploaded. Times are milliseconds since 1970.
package struct LedgerRecord: Sendable, Equatable {
  /// The job's name: SHA-256 of the sealed bundle.
  package var job: JobName
  /// Digest of the signed job manifest, which a receipt must repeat.
  package var manifest: ContentDigest
  /// Size of the sealed bundle.
  package var bundleBytes: UInt64
  /// The trust profile under which it was sealed.
  package var profile: String
  /// Version of the policy that it was sealed under; a receipt under an older one is refused.
  package var policyVersion: UInt64
  /// The store that it goes to.
  package var store: String
  /// `default`, or a schedule's name, and behind a slash the tenant where there is one: the part of `inbox/` that it goes
  /// to.
  package var queue: String
  package var stream: StreamPosition
  package var createdMs: UInt64
  package var notAfterMs: UInt64
  package var epoch: UInt64
  /// Digest of the model's manifest.
  package var model: ContentDigest
  package var operation: String
  package var inputFormat: InputFormat
  package var inputSHA256: ContentDigest
  package var inputItems: UInt64
  package var inputBytes: UInt64
  /// What the user called the input; stays here.
  package var source: String
  /// The user's own word for "do this once".
  package var idempotencyKey: String?

  var encoded: [UInt8] {
    CBOR.object([
      ("v", .unsigned(1)), ("job", .bytes(job.bytes)), ("manifest", .bytes(manifest.bytes)),
      ("bundle_bytes", .unsigned(bundleBytes)), ("profile", .text(profile)),
      ("policy_version", .unsigned(policyVersion)), ("store", .text(store)),
      ("queue", .text(queue)), ("stream", .bytes(stream.id)), ("stream_name", .text(stream.name)),
      ("sequence", .unsigned(stream.sequence)), ("previous", stream.previous.map { .bytes($0.bytes) }),
      ("voided", .array(stream.voided.map { .unsigned($0) })), ("created", .unsigned(createdMs)),
      ("not_after", .unsigned(notAfterMs)), ("epoch", .unsigned(epoch)), ("model", .bytes(model.bytes)),
      ("operation", .text(operation)), ("input_format", .text(inputFormat.rawValue)),
      ("input_sha256", .bytes(inputSHA256.bytes)), ("input_items", .unsigned(inputItems)),
      ("input_bytes", .unsigned(inputBytes)), ("source", .text(source)),
      ("idempotency_key", idempotencyKey.map { .text($0) }),
    ]).encoded()
  }
}

extension LedgerRecord {
  init(decoding bytes: [UInt8]) throws {
    var fields = try CBORFields(try CBORDecoder.decode(bytes), in: "ledger record")
    guard try fields.unsigned("v") == 1 else { throw WireError.malformed("ledger record: unknown version") }
    job = try fields.digest("job")
    manifest = try fields.digest("manifest")
    bundleBytes = try fields.unsigned("bundle_bytes")
    profile = try fields.text("profile", limit: 128)
    policyVersion = try fields.unsigned("policy_version")
    store = try fields.text("store")
    queue = try fields.text("queue", limit: 128)
    stream = StreamPosition(
      id: try fields.bytes("stream", count: 16), name: try fields.text("stream_name", limit: 128),
      sequence: try fields.unsigned("sequence"), previous: try fields.optionalDigest("previous"),
      voided: try fields.array("voided", limit: 4096) { item in
        guard case .unsigned(let number) = item else { throw WireError.malformed("ledger record: voided") }
        return number
      })
    createdMs = try fields.unsigned("created")
    notAfterMs = try fields.unsigned("not_after")
    epoch = try fields.unsigned("epoch")
    model = try fields.digest("model")
    operation = try fields.text("operation", limit: 32)
    guard let format = InputFormat(rawValue: try fields.text("input_format", limit: 32)) else {
      throw WireError.malformed("ledger record: unknown input format")
    }
    inputFormat = format
    inputSHA256 = try fields.digest("input_sha256")
    inputItems = try fields.unsigned("input_items")
    inputBytes = try fields.unsigned("input_bytes")
    source = try fields.text("source")
    idempotencyKey = try fields.optionalText("idempotency_key", limit: 256)
    try fields.finish()
  }
}

/// A job of the ledger and how far it has come on this side.
package struct LedgerEntry: Sendable, Equatable {
  package let record: LedgerRecord
  /// When the store had taken the whole bundle; nil while the upload is still due.
  package let uploadedMs: UInt64?
  /// When its submitter gave it up before any upload; its number is void then. Nil for all others.
  package let abandonedMs: UInt64?
  /// The entry's directory.
  let path: String

  /// The sealed bundle, kept until a receipt verified: a retry sends identical bytes, and the store's word that it has
  /// them costs nothing but its word.
  package var bundlePath: String { "\(path)/bundle.age" }
  /// The signed manifest.
  package var manifestPath: String { "\(path)/manifest.cose" }
  var uploadedPath: String { "\(path)/uploaded" }
  var abandonedPath: String { "\(path)/abandoned" }
  /// Whether the sealed bundle is still on this machine.
  package var hasBundle: Bool { PrivateFiles.exists(bundlePath) }
}
