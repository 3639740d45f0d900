import Wire

@testable import SealedCrypto

extension FuzzTarget {
  /// The header alone, and the texts of keys.
  static let ageHeader = FuzzTarget("age-header", longestBytes: 8192, seeds: { try ContainerSeeds.heads() }) { bytes in
    if let text = String(validating: bytes.prefix(4096), as: UTF8.self), let (prefix, body) = try? Bech32.decode(text) {
      let again = String(decoding: Bech32.encode(prefix: prefix.lowercased(), body), as: UTF8.self)
      try hold(again == text.lowercased(), "a bech32 text has one form")
    }
    let header = try AgeHeader(startOf: bytes)
    try hold(bytes.starts(with: header.encoded), "a header has one form")
    try hold(
      try bytes.starts(with: AgeFormat.versionLine.utf8 + [10] + header.stanzas.flatMap { try $0.encoded() }),
      "a stanza has one form")
    for role in [ContainerRole.bundle, .result(recipientCount: nil), .epochSeed, .modelFile] { try? role.check(header) }
  }

  /// A whole file, under one identity of each kind: only what those keys sealed opens.
  static let ageFile = FuzzTarget("age-file", longestBytes: 8192, seeds: { try ContainerSeeds.files() }) { bytes in
    let decryptor = try AgeDecryptor(identities: ContainerSeeds.identities(), from: MemorySource(bytes))
    var opened = 0
    while case let piece = try decryptor.read(upTo: 1000), !piece.isEmpty { opened += piece.count }
    try hold(UInt64(opened) == decryptor.openedBytes, "what is given out is counted")
    let payload = bytes.count - decryptor.header.encoded.count
    try hold(
      AgeFormat.payloadBytes(plaintext: UInt64(opened)) == UInt64(payload), "a file is as long as its plaintext says")
  }

  /// Edits of one sealed file of three chunks: nothing but what was sealed comes out, and the end only at the end.
  static let ageStream = FuzzTarget("age-stream", longestBytes: 256, seeds: { ContainerSeeds.edits }) { bytes in
    let plaintext = ContainerSeeds.threeChunks
    let sealed = try ContainerSeeds.sealedChunks()
    let edited = ContainerSeeds.edit(sealed, by: bytes)
    var opened: [UInt8] = []
    do {
      let decryptor = try AgeDecryptor(identities: ContainerSeeds.identities(), from: MemorySource(edited))
      while case let piece = try decryptor.read(upTo: 40_000), !piece.isEmpty { opened += piece }
    } catch {
      try hold(plaintext.starts(with: opened), "what came out before the refusal is what was sealed")
      try hold(edited != sealed, "an unchanged file opens")
      return
    }
    try hold(opened == plaintext, "what opens is what was sealed, whole")
    try hold(edited == sealed, "a changed file is refused")
  }

  static let cms = FuzzTarget("cms", seeds: { try VectorFile.all(in: "cms") }) { bytes in
    let key = try KMSRecipientKey(pem: String(decoding: try VectorFile.bytes("cms/key.pem"), as: UTF8.self))
    let opened = try KMSEnvelope.open(bytes, with: key)
    try hold(opened.count < bytes.count, "a content is shorter than its envelope")
  }

  /// KMS's answers, which TLS protects from the host but not from a fault of KMS.
  static let kmsReplies = FuzzTarget("kms-replies", seeds: { KMSSeeds.all }) { bytes in
    if let name = KMSErrorName(json: bytes) { try hold(name.name.utf8.count <= 64, "an error's name is short") }
    if let text = String(validating: bytes, as: UTF8.self), let key = try? KMSKeyARN(text) {
      try hold(key.serverName(fips: true).utf8.allSatisfy { $0 > 32 && $0 < 127 }, "a server's name is plain")
    }
    let reply = try KMSResponse(json: bytes)
    let again = try KMSResponse(json: reply.encoded())
    try hold(
      again.keyID == reply.keyID && again.ciphertextBlob == reply.ciphertextBlob && again.plaintext == reply.plaintext,
      "a reply reads as it was written")
  }
}

enum ContainerSeeds {
  static let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

  /// Keys that everybody knows.
  static func identities() throws -> [any AgeIdentity] {
    let dataKey = (0..<32).map { UInt8($0) }
    return [
      try HybridIdentity(seed: try SecretBytes(copying: [UInt8](repeating: 5, count: 32))),
      KMSStanzaIdentity(expectedKeyARN: arn) { _ in try SecretBytes(copying: dataKey) },
    ]
  }

  private static func recipient() throws -> HybridRecipient {
    try HybridIdentity(seed: try SecretBytes(copying: [UInt8](repeating: 5, count: 32))).recipient
  }

  private static func seal(_ plaintext: [UInt8], to recipients: [any AgeRecipient]) throws -> [UInt8] {
    let sink = MemorySink()
    let encryptor = try AgeEncryptor(recipients: recipients, to: sink)
    try encryptor.write(plaintext)
    try encryptor.finish()
    return sink.bytes
  }

  static func files() throws -> [[UInt8]] {
    let dataKey = (0..<32).map { UInt8($0) }
    let kms = try KMSStanzaRecipient(
      keyARN: arn, ciphertextBlob: [1, 2, 3], dataKey: try SecretBytes(copying: dataKey))
    return [
      try seal([], to: [recipient()]), try seal([1, 2, 3], to: [recipient()]), try seal([4], to: [kms]),
      try seal([5], to: [recipient(), kms]),
    ] + (try vectors())
  }

  static func heads() throws -> [[UInt8]] {
    [Array(try recipient().text.utf8)] + (try files()).compactMap { try? AgeHeader(startOf: $0).encoded }
  }

  /// The age files of our own vectors: what stands behind the empty line of each.
  private static func vectors() throws -> [[UInt8]] {
    try VectorFile.all(in: "age").compactMap { vector in
      guard let head = vector.firstRange(of: Array("\n\nage-".utf8)), vector.count < 8192 else { return nil }
      return Array(vector[(head.lowerBound + 2)...])
    }
  }

  static let threeChunks = (0..<2 * AgeFormat.chunkBytes + 100).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  private static let sealed = Result { try seal(threeChunks, to: [recipient()]) }
  /// One file for the whole process.
  static func sealedChunks() throws -> [UInt8] { try sealed.get() }

  static let edits: [[UInt8]] = [
    [], [0, 0, 0, 1, 1], [1, 1, 0, 0, 4], [2, 2, 0, 0, 9], [3, 0, 255, 255, 0], [4, 1, 0, 0, 0], [5, 1, 0, 2, 0],
  ]

  /// Each five bytes are one edit: what, where (three bytes), and with what.
  static func edit(_ file: [UInt8], by script: [UInt8]) -> [UInt8] {
    var file = file
    var rest = script[...]
    let chunk = AgeFormat.chunkBytes + AgeFormat.tagBytes
    while rest.count >= 5, !file.isEmpty {
      let step = Array(rest.prefix(5))
      rest = rest.dropFirst(5)
      let place = (Int(step[1]) << 16 | Int(step[2]) << 8 | Int(step[3])) % file.count
      switch step[0] % 6 {
      case 0: file[place] ^= step[4]
      case 1: file.removeSubrange(place..<min(file.count, place + Int(step[4])))
      case 2: file.insert(contentsOf: [UInt8](repeating: step[3], count: Int(step[4])), at: place)
      case 3: file.removeSubrange(place...)
      case 4: file += file.suffix(from: place)
      default:
        // Two whole chunks change places, counted from the end of the header.
        let start = file.count - (file.count - place) / chunk * chunk
        guard start + 2 * chunk <= file.count else { continue }
        let first = Array(file[start..<start + chunk])
        file.replaceSubrange(start..<start + chunk, with: file[start + chunk..<start + 2 * chunk])
        file.replaceSubrange(start + chunk..<start + 2 * chunk, with: first)
      }
    }
    return file
  }
}

private enum KMSSeeds {
  static let all = [
    #"{"KeyId":"\#(ContainerSeeds.arn)","CiphertextBlob":"AQID","CiphertextForRecipient":"MIAG"}"#,
    #"{"KeyId":"\#(ContainerSeeds.arn)","Plaintext":"AAEC"}"#,
    #"{"__type":"com.amazonaws.kms#AccessDeniedException","message":"no"}"#, ContainerSeeds.arn,
    "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1",
  ].map { Array($0.utf8) }
}
