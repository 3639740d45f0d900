import Crypto
import SealedCrypto
import Wire

// What a synced job carried, in `documents.age` of its ledger entry. It stands in the entry's directory, so it appears
// with the job by the ledger's one rename: a document is known as sent exactly when its job is in the ledger.
//
//     documents.age   age file to the home's own identity: u32 length ‖ CBOR array, again and again
//       ["ephemeralml/sync", 1, snapshot, folder]
//       [0, path, size, modified, changed, inode, sha256, number]   sent in the job of that number
//       [1, path, size, modified, changed, inode, sha256]           touched since, with the content that was sent
//       [2, path]                                                   no longer in the folder
//
// A snapshot holds every document that is known and makes older records needless. To whoever has the home but not
// keys/identity.txt the file tells by its size about how many documents it names, and nothing else.

/// One document as it was sent.
struct SyncedDocument: Hashable, Sendable {
  var stamp: DocumentStamp
  /// Of the file's text.
  let sha256: ContentDigest
  /// The number of the job that carried it.
  let sentIn: UInt64
}

/// The documents of one synced job.
struct SyncRecord {
  static let fileName = "documents.age"
  /// Longest record: a path of a file system and room.
  private static let recordLimit = 8 << 10

  var isSnapshot = false
  /// The folder that was synced, by its real path.
  var folder: String
  /// Sent, by path.
  var sent: [String: SyncedDocument] = [:]
  /// Touched and not changed; ``SyncedDocument/sentIn`` says nothing here.
  var touched: [String: SyncedDocument] = [:]
  var gone: [String] = []

  /// Writes the record into an entry that is being made.
  ///
  /// - Parameter recipient: the home's own.
  func write(to directory: String, recipient: HybridRecipient) throws {
    let file = try OpenedFile(creating: "\(directory)/\(Self.fileName)")
    let encryptor = try AgeEncryptor(recipients: [recipient], to: file)
    try Self.put([.text("ephemeralml/sync"), .unsigned(1), .bool(isSnapshot), .text(folder)], encryptor)
    for (path, document) in sent.sorted(by: { $0.key < $1.key }) {
      try Self.put([.unsigned(0)] + Self.fields(path, document) + [.unsigned(document.sentIn)], encryptor)
    }
    for (path, document) in touched.sorted(by: { $0.key < $1.key }) {
      try Self.put([.unsigned(1)] + Self.fields(path, document), encryptor)
    }
    for path in gone { try Self.put([.unsigned(2), .text(path)], encryptor) }
    try encryptor.finish()
    try file.sync()
  }

  private static func fields(_ path: String, _ document: SyncedDocument) -> [CBOR] {
    let stamp = document.stamp
    return [
      .text(path), .unsigned(stamp.size), .unsigned(stamp.modifiedNs), .unsigned(stamp.changedNs),
      .unsigned(stamp.inode), .bytes(document.sha256.bytes),
    ]
  }

  private static func put(_ items: [CBOR], _ sink: any ByteSink) throws {
    let bytes = CBOR.array(items).encoded()
    try sink.write((0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * $0)) } + bytes)
  }

  /// Reads the record of an entry; nil when the entry is no synced one.
  ///
  /// - Throws: ``ClientError`` of kind `other` when it does not open or is damaged.
  static func read(_ entry: LedgerEntry, identities: [HybridIdentity]) throws -> SyncRecord? {
    let path = "\(entry.path)/\(fileName)"
    guard PrivateFiles.exists(path) else { return nil }
    do {
      let source = try AgeDecryptor(identities: identities, from: try OpenedFile(reading: path))
      guard let head = try next(source), case .array(let items) = head, items.count == 4,
        items[0] == .text("ephemeralml/sync"), items[1] == .unsigned(1), case .bool(let isSnapshot) = items[2],
        case .text(let folder) = items[3]
      else { throw WireError.malformed("sync record: its head") }
      var record = SyncRecord(isSnapshot: isSnapshot, folder: folder)
      while let item = try next(source) { try record.take(item) }
      return record
    } catch let error as ClientError {
      throw error
    } catch {
      throw ClientError(
        .other, "\(path) does not open: \(error)",
        remedy: "restore keys/identity.txt or the file from a backup, or sync once with --force-all: all is sent again")
    }
  }

  private mutating func take(_ item: CBOR) throws {
    guard case .array(let items) = item, items.count >= 2, case .unsigned(let kind) = items[0],
      case .text(let path) = items[1]
    else { throw WireError.malformed("sync record") }
    if kind == 2, items.count == 2 { return gone.append(path) }
    guard kind <= 1, items.count == 8 - Int(kind), case .unsigned(let size) = items[2],
      case .unsigned(let modified) = items[3], case .unsigned(let changed) = items[4],
      case .unsigned(let inode) = items[5], case .bytes(let digest) = items[6]
    else { throw WireError.malformed("sync record: a document") }
    let stamp = DocumentStamp(size: size, modifiedNs: modified, changedNs: changed, inode: inode)
    let sha256 = try ContentDigest(digest)
    if kind == 1 {
      touched[path] = SyncedDocument(stamp: stamp, sha256: sha256, sentIn: 0)
    } else {
      guard case .unsigned(let number) = items[7] else { throw WireError.malformed("sync record: a number") }
      sent[path] = SyncedDocument(stamp: stamp, sha256: sha256, sentIn: number)
    }
  }

  private static func next(_ source: AgeDecryptor) throws -> CBOR? {
    let head = try exactly(4, source)
    guard !head.isEmpty else { return nil }
    let count = head.reduce(0) { $0 << 8 | Int($1) }
    guard head.count == 4, (1...recordLimit).contains(count) else { throw WireError.malformed("sync record: a length") }
    let bytes = try exactly(count, source)
    guard bytes.count == count else { throw WireError.truncated("sync record") }
    return try CBORDecoder.decode(bytes)
  }

  /// So many bytes, or those that are left.
  private static func exactly(_ count: Int, _ source: AgeDecryptor) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let piece = try source.read(upTo: count - bytes.count)
      if piece.isEmpty { break }
      bytes += piece
    }
    return bytes
  }
}
