import SealedCrypto
import Wire

extension FuzzTarget {
  static let cose = FuzzTarget("cose", seeds: { try StatementSeeds.coseMessages() }) { bytes in
    if let message = try? COSESign1(bytes, tagging: .required, mode: .deterministic) {
      try hold(message.encoded() == bytes, "a deterministic COSE_Sign1 has one encoding")
    }
    let message = try COSESign1(bytes, tagging: .optional, mode: .lenient)
    let again = try COSESign1(message.encoded(), tagging: .required, mode: .lenient)
    try hold(
      again.signedBytes(externalAAD: [1]) == message.signedBytes(externalAAD: [1]),
      "what is signed does not depend on how the message around it is written")
  }

  /// The whole of a statement as it is received: a signature that was not made is never accepted.
  static let statements = FuzzTarget("statements", longestBytes: 8192, seeds: { try StatementSeeds.statements() }) {
    bytes in
    var input = Scissors(bytes)
    let kind = StatementSeeds.kind(input.byte())
    let body = input.all()
    switch kind {
    case .policy: try accept(PolicyClaims.self, body)
    case .model: try accept(ModelManifestClaims.self, body)
    case .manifest: try accept(JobManifestClaims.self, body)
    case .cancel: try accept(CancelClaims.self, body)
    case .head: try accept(StreamHeadClaims.self, body)
    case .announcement: _ = try UnverifiedStatement<AnnouncementClaims>(body).signedByItsOwnKey()
    case .receipt: _ = try UnverifiedStatement<ReceiptClaims>(body).signedByItsOwnKey()
    case .status: _ = try UnverifiedStatement<StatusClaims>(body).signedByItsOwnKey()
    }
  }

  /// The payload alone, under a signature made for it: what a key holder may write.
  static let claims = FuzzTarget("claims", longestBytes: 8192, seeds: { try StatementSeeds.payloads() }) { bytes in
    var input = Scissors(bytes)
    let kind = StatementSeeds.kind(input.byte())
    let payload = input.all()
    switch kind {
    case .policy: try reread(PolicyClaims.self, payload)
    case .model: try reread(ModelManifestClaims.self, payload)
    case .manifest: try reread(JobManifestClaims.self, payload)
    case .cancel: try reread(CancelClaims.self, payload)
    case .head: try reread(StreamHeadClaims.self, payload)
    case .announcement: try reread(AnnouncementClaims.self, payload)
    case .receipt: try reread(ReceiptClaims.self, payload)
    case .status: try reread(StatusClaims.self, payload)
    }
  }

  /// `items.cbor` and an epoch's seed file, once opened.
  static let items = FuzzTarget("items", seeds: { try StatementSeeds.itemFiles() }) { bytes in
    if let seed = try? EpochSeed(bytes) { try hold(seed.encoded() == bytes, "a seed file has one encoding") }
    let reader = ItemsReader(MemorySource(bytes))
    var taken = 0
    while let item = try reader.next() {
      taken += item.encoded().count
      if let head = try? ItemsHead(item) { try hold(head.encoded() == item.encoded(), "a head has one encoding") }
      if let record = try? ItemRecord(item) {
        try hold(record.encoded() == item.encoded(), "a record has one encoding")
        _ = record.leaf(count: 3, manifestSalt: bytes)
      }
      if ItemsTrailer.isTrailer(item), let trailer = try? ItemsTrailer(item) {
        try hold(trailer.failedItems <= trailer.items, "no more items failed than there are")
      }
    }
    try hold(taken == bytes.count, "a sequence that ended was read to its last byte")
  }

  private static func accept<Claims: StatementClaims & Equatable>(_ type: Claims.Type, _ body: [UInt8]) throws {
    let key = try StatementSeeds.key().verifyingKey
    let signed = try UnverifiedStatement<Claims>(body).verified(by: key)
    // Ed25519 is deterministic, so the only bytes that verify are those that signing the claims makes, but for claims
    // that may be written in two ways (a null for what is absent).
    let again = try UnverifiedStatement<Claims>(Signed.sign(signed.claims, with: StatementSeeds.key()).bytes)
    try hold(try again.verified(by: key).claims == signed.claims, "claims read as they were written")
  }

  private static func reread<Claims: StatementClaims & Equatable>(_ type: Claims.Type, _ payload: [UInt8]) throws {
    guard case .map = try CBORDecoder.decode(payload) else { return }
    let claims = try claims(type, payload)
    let payload = CBOR.object([("v", .unsigned(1))] + claims.fields).encoded()
    try hold(try Self.claims(type, payload) == claims, "claims read as they were written")
  }

  private static func claims<Claims: StatementClaims>(_ type: Claims.Type, _ payload: [UInt8]) throws -> Claims {
    var fields = try CBORFields(try CBORDecoder.decode(payload), in: "claims")
    guard try fields.unsigned("v") == 1 else { throw WireError.malformed("claims: version") }
    let claims = try Claims(reading: &fields)
    try fields.finish()
    return claims
  }
}

enum StatementSeeds {
  /// A key that everybody knows: a fuzzer must be able to make signatures that hold.
  static func key() throws -> SigningKey {
    try SigningKey(seed: try SecretBytes(copying: [UInt8](repeating: 7, count: 32)))
  }

  static func kind(_ byte: UInt8) -> StatementKind { StatementKind.allCases[Int(byte) % StatementKind.allCases.count] }

  private static let timeMs: UInt64 = 1_780_000_000_000
  private static let arn = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"

  private static func digest(_ byte: UInt8) throws -> ContentDigest {
    try ContentDigest([UInt8](repeating: byte, count: 32))
  }

  private static func policy() throws -> PolicyClaims {
    let key = try key().verifyingKey
    let pcr = [UInt8](repeating: 1, count: 48)
    return PolicyClaims(
      version: 3, issuedMs: timeMs, notAfterMs: timeMs + 1,
      measurements: [
        MeasurementTuple(name: "one", pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: nil),
        MeasurementTuple(name: "two", pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: pcr),
      ], epochKey: arn, minimumEpoch: 2, epochValidityMs: 7, epochGraceMs: 1,
      submitters: [PolicySubmitter(name: "s", key: key, operations: ["embed"], models: [try digest(1)])],
      publishers: [PolicyPublisher(name: "p", key: key, modelKey: arn + "a")], formats: ["safetensors"],
      dtypes: ["F32"], maximumItems: 10, maximumInputBytes: 1 << 20, recoveryRecipients: [], requireHybridTLS: true,
      useFIPSEndpoint: false, precisions: ["fp32"],
      modelPrecisions: [ModelPrecisions(model: try digest(1), precisions: ["int8"])])
  }

  private static func model() throws -> ModelManifestClaims {
    ModelManifestClaims(
      name: "m", architecture: "bert", format: "safetensors", dtypes: ["F32"], operations: ["embed"],
      maximumTokens: 256, dimensions: 384, createdMs: timeMs,
      files: [
        ModelFile(name: "model.safetensors", size: 9, sha256: try digest(3), isSealed: true),
        ModelFile(name: "1_Pooling/config.json", size: 1, sha256: try digest(4), isSealed: false),
      ], accuracy: [ModelAccuracy(precision: "int8", meanMillionths: 9, leastMillionths: 1, texts: 3)])
  }

  static func manifestClaims() throws -> JobManifestClaims {
    JobManifestClaims(
      policyVersion: 3, sealingKey: try digest(5), createdMs: timeMs, notAfterMs: timeMs + 1,
      salt: [UInt8](repeating: 6, count: 32), operation: "embed", encoding: "base64", seed: .max,
      model: try digest(7), precision: "fp32", inputFormat: .idText, inputSHA256: try digest(8), inputItems: 6,
      inputBytes: 40, recipients: [[UInt8](repeating: 9, count: 1216)],
      stream: StreamPosition(
        id: [UInt8](repeating: 10, count: 16), name: "n", sequence: 4, previous: try digest(9), voided: [2]))
  }

  private static func announcement() throws -> AnnouncementClaims {
    AnnouncementClaims(
      epoch: 2, publicKey: [UInt8](repeating: 12, count: 1216), notBeforeMs: timeMs, notAfterMs: timeMs + 1,
      kmsKey: arn, policyVersion: 3, policyDigest: try digest(13), key: try key().verifyingKey)
  }

  private static func receipt() throws -> ReceiptClaims {
    ReceiptClaims(
      outcome: .partial, code: .ok, bundle: try digest(14),
      job: ReceiptJob(
        manifest: try digest(15), model: try digest(7), submitter: try digest(16),
        stream: [UInt8](repeating: 10, count: 16), sequence: 4, previous: try digest(9),
        files: try ResultFile.allCases.map { ReceiptFile(file: $0, size: 10, sha256: try digest(17)) },
        merkleRoot: try digest(18), items: 60, failedItems: 1, precision: "fp32"), policyVersion: 3,
      policyDigest: try digest(13), startedMs: timeMs, endedMs: timeMs + 9, software: "1.0.0", attempt: 1,
      key: try key().verifyingKey)
  }

  private static func status() throws -> StatusClaims {
    StatusClaims(
      timeMs: timeMs, software: "1.0.0", policyVersion: 3, policyDigest: try digest(13), epochs: [2, 3],
      nonce: [1, 2], key: try key().verifyingKey)
  }

  private static func each<Result>(_ body: (any StatementClaims) throws -> Result) throws -> [(UInt8, Result)] {
    let samples: [any StatementClaims] = [
      try policy(), try model(), try manifestClaims(), CancelClaims(job: try digest(11), issuedMs: timeMs),
      try announcement(), try receipt(), try status(),
      StreamHeadClaims(
        stream: [UInt8](repeating: 10, count: 16), sequence: 4, manifest: try digest(9), voided: [2], issuedMs: timeMs),
    ]
    return try samples.map { claims in
      let number = StatementKind.allCases.firstIndex(of: type(of: claims).kind) ?? 0
      return (UInt8(number), try body(claims))
    }
  }

  /// One statement of each kind, behind the byte that names it.
  static func statements() throws -> [[UInt8]] { try each(signed).map { [$0.0] + $0.1 } }

  static func payloads() throws -> [[UInt8]] {
    try each { CBOR.object([("v", .unsigned(1))] + $0.fields).encoded() }.map { [$0.0] + $0.1 }
  }

  static func coseMessages() throws -> [[UInt8]] {
    try each(signed).map(\.1) + [try VectorFile.bytes("attestation/accepted.cose")]
  }

  static func itemFiles() throws -> [[UInt8]] {
    let head = ItemsHead(salt: [UInt8](repeating: 1, count: 32), manifest: [1, 2, 3]).encoded()
    let record = ItemRecord(
      index: 0, status: .ok, input: try digest(1), output: try digest(2), tokens: 7, truncated: false
    ).encoded()
    let trailer = ItemsTrailer(items: 1, failedItems: 0, tokens: 7, fault: "why").encoded(padding: 8)
    let seed = EpochSeed(
      seed: try SecretBytes(copying: [UInt8](repeating: 7, count: 32)), publicKey: [UInt8](repeating: 1, count: 1216),
      epoch: 2, notBeforeMs: 1, notAfterMs: 2
    ).encoded()
    return [head + record + trailer, head, record, trailer, seed]
  }

  private static func signed(_ claims: any StatementClaims) throws -> [UInt8] {
    func sign<Claims: StatementClaims>(_ claims: Claims) throws -> [UInt8] {
      let document = try VectorFile.bytes("attestation/accepted.cose")
      return try Signed.sign(claims, with: key()) { _ in document }.bytes
    }
    return try sign(claims)
  }
}
