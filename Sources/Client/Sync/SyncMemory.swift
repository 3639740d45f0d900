import SealedCrypto
import Wire

/// What a stream's jobs have carried so far, for one store and one model: the sum of its entries' records.
struct SyncMemory {
  /// Records after which a snapshot is written.
  static let snapshotAfter = 100

  /// Every document that is known as sent, by path.
  private(set) var documents: [String: SyncedDocument] = [:]
  /// The folder that the newest record names.
  private(set) var folder: String?
  /// Records since the last snapshot, that one included.
  private(set) var recordCount = 0

  /// What is known of nothing.
  init() {}

  /// - Parameters:
  ///   - entries: the stream's, by number.
  ///   - unsent: numbers whose documents count as not sent, beside those that were abandoned.
  init(
    _ entries: [LedgerEntry], store: String, model: ContentDigest, operation: String, unsent: Set<UInt64>,
    identities: [HybridIdentity]
  ) throws {
    var records: [SyncRecord] = []
    for entry in entries.reversed() {
      let record = entry.record
      guard record.store == store, record.model == model, record.operation == operation, entry.abandonedMs == nil,
        let found = try SyncRecord.read(entry, identities: identities)
      else { continue }
      records.append(found)
      if found.isSnapshot { break }
    }
    folder = records.first?.folder
    for record in records.reversed() { apply(record) }
    let abandoned = entries.filter { $0.abandonedMs != nil }.map(\.record.stream.sequence)
    let unsent = unsent.union(abandoned)
    if !unsent.isEmpty { documents = documents.filter { !unsent.contains($0.value.sentIn) } }
  }

  /// Adds what one more job carried.
  mutating func apply(_ record: SyncRecord) {
    recordCount += 1
    if record.isSnapshot { (documents, recordCount) = ([:], 1) }
    for path in record.gone { documents[path] = nil }
    documents.merge(record.sent) { $1 }
    for (path, document) in record.touched where documents[path]?.sha256 == document.sha256 {
      documents[path]?.stamp = document.stamp
    }
  }
}
