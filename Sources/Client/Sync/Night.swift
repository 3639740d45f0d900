import Crypto
import Inference
import SealedCrypto
import Wire

/// One sync's documents, cut into bundles that the policy's limits take.
struct Night {
  /// Documents of one job, read and kept sealed.
  struct Bundle {
    let spool: DocumentSpool
    var documents: [String: SyncedDocument] = [:]
    var changes: [String: DocumentChange] = [:]
    /// Touched, with the content that was sent.
    var touched: [String: SyncedDocument] = [:]
    fileprivate var bytes: UInt64 = 0
  }

  let folder: String
  private let request: SyncRequest
  private let look: SyncFolder
  private let plan: LinePlan
  private let maximumItems: UInt64
  private let maximumBytes: UInt64
  private let spoolFolder: String
  /// Documents written to after this are left for the next sync.
  private let quietSinceNs: UInt64
  private var memory: SyncMemory
  private var candidates: ArraySlice<SyncFolder.Candidate>
  /// To be told by the first job.
  private var gone: [String]
  /// A document that was read and did not fit into the bundle before.
  private var waiting: (path: String, bytes: [UInt8], document: SyncedDocument, change: DocumentChange)?
  private var isFirst = true
  private var read: UInt64 = 0

  init(
    request: SyncRequest, folder: String, look: SyncFolder, memory: SyncMemory, survey: SyncFolder.Survey,
    plan: LinePlan, maximumItems: UInt64, maximumBytes: UInt64, spoolFolder: String
  ) {
    self.request = request
    self.folder = folder
    self.look = look
    self.plan = plan
    self.memory = memory
    self.maximumItems = max(1, maximumItems)
    self.maximumBytes = maximumBytes
    self.spoolFolder = spoolFolder
    candidates = survey.candidates[...]
    gone = survey.gone
    quietSinceNs =
      request.quietSeconds == 0 ? .max : Timestamps.nowMs() * 1_000_000 - request.quietSeconds * 1_000_000_000
  }

  /// Whether every document was handed out.
  var isOver: Bool { candidates.isEmpty && waiting == nil }

  /// Reads documents until a bundle is full or none is left. The first bundle may be empty, later ones are nil then.
  mutating func nextBundle(
    _ summary: inout SyncSummary, _ report: (SyncEvent) -> Void
  ) throws -> Bundle? {
    var bundle = Bundle(spool: try DocumentSpool(name: folder, directory: spoolFolder))
    if let (path, bytes, document, change) = waiting {
      waiting = nil
      try take(path, bytes, document, change, &bundle, &summary, report)
    }
    while waiting == nil, let candidate = candidates.popFirst() {
      read += 1
      if read.isMultiple(of: 100) { report(.reading(read)) }
      try consider(candidate, &bundle, &summary, report)
    }
    try bundle.spool.finish()
    defer { isFirst = false }
    return isFirst || !bundle.documents.isEmpty || !bundle.touched.isEmpty ? bundle : nil
  }

  private mutating func consider(
    _ candidate: SyncFolder.Candidate, _ bundle: inout Bundle, _ summary: inout SyncSummary,
    _ report: (SyncEvent) -> Void
  ) throws {
    let path = candidate.path
    let nowNs = Timestamps.nowMs() * 1_000_000
    switch try look.read(path) {
    case .left(let reason): summary.skipped.add(path, reason)
    case .unsettled: leave(path, .unsettled, "it changed while it was read", &summary, report)
    case .text(let bytes, let stamp):
      let document = SyncedDocument(
        stamp: stamp.settled(readAtNs: nowNs), sha256: SHA256.digest(of: bytes), sentIn: 0)
      if candidate.known?.sha256 == document.sha256 {
        summary.unchanged += 1
        bundle.touched[path] = document
        return
      }
      guard stamp.modifiedNs <= quietSinceNs else {
        return leave(path, .unsettled, "it was written to just now", &summary, report)
      }
      try take(path, bytes, document, candidate.known == nil ? .new : .changed, &bundle, &summary, report)
    }
  }

  /// Puts a document into the bundle, or keeps it for the next one when the bundle is full.
  private mutating func take(
    _ path: String, _ bytes: [UInt8], _ document: SyncedDocument, _ change: DocumentChange, _ bundle: inout Bundle,
    _ summary: inout SyncSummary, _ report: (SyncEvent) -> Void
  ) throws {
    let line = UInt64(plan.line(id: path, text: String(decoding: bytes, as: UTF8.self)).count) + 1
    guard line <= maximumBytes else {
      return leave(path, .refused, "\(line) bytes, over the \(maximumBytes) of the policy", &summary, report)
    }
    guard UInt64(bundle.documents.count) < maximumItems, bundle.bytes + line <= maximumBytes else {
      waiting = (path, bytes, document, change)
      return
    }
    if !request.isDryRun { try bundle.spool.add(path, bytes) }
    bundle.documents[path] = document
    bundle.changes[path] = change
    bundle.bytes += line
    summary.counts[change, default: 0] += 1
    report(.document(path: path, change, reason: nil))
  }

  private func leave(
    _ path: String, _ change: DocumentChange, _ reason: String, _ summary: inout SyncSummary,
    _ report: (SyncEvent) -> Void
  ) {
    summary.counts[change, default: 0] += 1
    report(.document(path: path, change, reason: reason))
  }

  /// What the ledger remembers of a bundle; a snapshot of everything now and then.
  func record(_ bundle: Bundle, besides refused: Set<String>, number: UInt64) -> SyncRecord {
    var record = SyncRecord(folder: folder)
    for (path, document) in bundle.documents where !refused.contains(path) {
      record.sent[path] = SyncedDocument(stamp: document.stamp, sha256: document.sha256, sentIn: number)
    }
    record.touched = bundle.touched
    record.gone = gone
    guard memory.recordCount >= SyncMemory.snapshotAfter || (request.forceAll && memory.recordCount == 0) else {
      return record
    }
    var whole = memory
    whole.apply(record)
    return SyncRecord(isSnapshot: true, folder: folder, sent: whole.documents)
  }

  /// The record is durable: the next bundle stands on it.
  mutating func note(_ record: SyncRecord) {
    gone = []
    memory.apply(record)
  }
}
