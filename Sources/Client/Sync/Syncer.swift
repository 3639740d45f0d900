import Attestation
import Crypto
import Glibc
import ObjectStore
import SealedCrypto
import Wire

// One sync, step by step. Killed at any point, the next one goes on from what is durable:
//   lock ─▶ upload what is due ─▶ earlier receipts ─▶ look at the names ─▶ for each bundle: read ─▶ seal ─▶ upload
//            (same bytes)          (each once)                              └ documents.age and job, one rename ┘
// - Before the rename nothing is known as sent; after it the job has its number and its bytes, and is uploaded by this
//   sync or the next.
// - A folder that is larger than a job may be makes several jobs, each complete in itself.

/// Sends what is new or changed in a folder since the stream's earlier jobs.
package struct Syncer {
  private let home: ClientHome
  private let profile: TrustProfile
  private let store: any ObjectStore
  private let submitter: Submitter
  private let ledger: Ledger
  /// For tests: called after a document was read, before it is looked at again.
  var afterReading: (String) -> Void = { _ in }

  package init(home: ClientHome, profile: TrustProfile, store: any ObjectStore) {
    self.home = home
    self.profile = profile
    self.store = store
    submitter = Submitter(home: home, profile: profile, store: store)
    ledger = Ledger(home: home)
  }

  /// Runs one sync.
  ///
  /// - Throws: ``ClientError``: `retryable` while another sync of the stream runs, `notFound` without the folder, `usage`
  ///   where the folder is not the stream's; what preparing, sealing and the store throw.
  package func run(
    _ request: SyncRequest, nowMs: UInt64, report: (SyncEvent) -> Void = { _ in }
  ) throws -> SyncSummary {
    let folder = try Self.realFolder(request.folder)
    let lock = try SyncLock(home, profile: profile.name, stream: request.stream, waitMs: request.lockWaitMs)
    defer { withExtendedLifetime(lock) {} }
    var summary = SyncSummary()
    var hasJob = false
    if !request.isDryRun {
      let uploaded = try submitter.uploadPending(nowMs: nowMs) { report(.refusedPending($0, $1)) }
      for entry in uploaded {
        summary.uploadedPending += 1
        if entry.record.stream.name == request.stream { hasJob = true }
        report(.uploadedPending(entry))
      }
    }
    let entries = try entries(request.stream)
    try lookBack(request, entries, nowMs, &summary, report)

    let standing = try submitter.standing(request.submission, nowMs: nowMs)
    let lost = request.retriesLost ? summary.lost : []
    // A document of a folder is one text.
    guard standing.operation != .score else {
      throw ClientError(
        .usage, "a score is of a pair of texts, and \(standing.model.claims.name) gives scores",
        remedy: "submit a file of lines")
    }
    let plan = LinePlan(
      operation: standing.operation, task: request.submission.task, model: standing.model.claims.name)
    try Submitter.check(plan, request.submission, .textFiles)
    let memory = try memory(request, entries, standing, lost: lost)
    try Self.check(memory, folder, request)
    var look = SyncFolder(path: folder)
    look.afterReading = afterReading
    let survey = try look.survey(memory.documents)
    guard survey.files > 0 || memory.documents.isEmpty || request.mayBeEmpty else {
      throw ClientError(
        .input, "\(folder) holds no file any more, and \(memory.documents.count) documents were sent from it",
        remedy: "look whether it is mounted; --may-be-empty takes them for deleted")
    }
    summary.unchanged = survey.unchanged
    summary.skipped = survey.skipped
    for path in survey.gone {
      summary.counts[.gone, default: 0] += 1
      report(.document(path: path, .gone, reason: nil))
    }
    var night = Night(
      request: request, folder: folder, look: look, memory: memory, survey: survey,
      plan: plan,
      maximumItems: min(standing.policy.claims.maximumItems, UInt64(Limits.itemsPerJob)),
      maximumBytes: min(standing.policy.claims.maximumInputBytes, Limits.inputBytes), spoolFolder: home.ledgerPath)
    repeat {
      guard let bundle = try night.nextBundle(&summary, report) else { break }
      let isNothing = bundle.documents.isEmpty && (hasJob || request.skipsEmpty)
      if request.isDryRun || isNothing { continue }
      try send(bundle, request, &night, nowMs, &summary, report)
      hasJob = true
    } while !night.isOver
    for night in lost where !request.isDryRun { try night.entry.markRetried(atMs: nowMs) }
    return summary
  }

  private static func realFolder(_ folder: String) throws -> String {
    guard let path = realpath(folder, nil) else {
      throw ClientError(.notFound, "there is no folder \(folder)", remedy: "check the name, and whether it is mounted")
    }
    defer { free(path) }
    let real = String(cString: path)
    guard try PrivateFiles.isDirectory(real) == true else {
      throw ClientError(.usage, "\(folder) is no folder", remedy: "name a folder; `ephemeral submit` takes a file")
    }
    return real
  }

  /// The stream's entries, by number.
  private func entries(_ stream: String) throws -> [LedgerEntry] {
    let key = try home.keys.signingKey(.submitter).verifyingKey
    return try ledger.streams(profile: profile.name).first { $0.name == stream && $0.submitter == key }?.entries ?? []
  }

  private func lookBack(
    _ request: SyncRequest, _ entries: [LedgerEntry], _ nowMs: UInt64, _ summary: inout SyncSummary,
    _ report: (SyncEvent) -> Void
  ) throws {
    let nights = EarlierNights(home: home, profile: profile, store: store)
    summary.earlier = try nights.examine(entries, nowMs: nowMs, recording: !request.isDryRun)
    for index in summary.earlier.indices {
      if let folder = request.fetchFolder, !request.isDryRun {
        do {
          summary.earlier[index].fetched = try nights.fetch(
            summary.earlier[index], into: folder, format: request.fetchFormat, nowMs: nowMs, progress: { _ in })
        } catch let error as ClientError where error.kind != .usage {
          // One job whose results are not right must not keep tonight's documents back.
          summary.unfetched += 1
          report(.notFetched(summary.earlier[index], reason: error.reason))
        } catch let error as ObjectStoreError where error.mayBeOfOneObject {
          summary.unfetched += 1
          report(.notFetched(summary.earlier[index], reason: "\(error.action): \(error.reason)"))
        }
      }
      report(.earlier(summary.earlier[index]))
    }
  }

  private func memory(
    _ request: SyncRequest, _ entries: [LedgerEntry], _ standing: Submitter.Standing, lost: [EarlierNight]
  ) throws -> SyncMemory {
    guard !request.forceAll else { return SyncMemory() }
    let retried = entries.filter(\.isRetried).map(\.record.stream.sequence)
    return try SyncMemory(
      entries, store: store.location, model: standing.model.digest, operation: standing.operation.rawValue,
      unsent: Set(retried + lost.map(\.number)), identities: try home.keys.identities())
  }

  /// Two folders in one stream would take each other's documents for deleted.
  private static func check(_ memory: SyncMemory, _ folder: String, _ request: SyncRequest) throws {
    guard let before = memory.folder, before != folder, !request.isMoved else { return }
    throw ClientError(
      .usage, "stream \(request.stream) was synced from \(before) before",
      remedy: "name another --stream for another folder, or pass --moved when the folder has moved")
  }

  private func send(
    _ bundle: Night.Bundle, _ request: SyncRequest, _ night: inout Night, _ nowMs: UInt64,
    _ summary: inout SyncSummary, _ report: (SyncEvent) -> Void
  ) throws {
    var submission = request.submission
    submission.skipInvalid = true
    submission.allowEmpty = true
    let prepared = try submitter.prepare(bundle.spool, submission, nowMs: nowMs)
    let refused = Set(prepared.survey.refused.map { bundle.spool.paths[Int($0)] })
    for path in refused.sorted() {
      summary.counts[bundle.changes[path] ?? .new, default: 1] -= 1
      summary.counts[.refused, default: 0] += 1
      let problem = prepared.survey.problems.first { $0.place == .file(path) }
      report(.document(path: path, .refused, reason: problem?.message ?? "not acceptable"))
    }
    report(.prepared(prepared))
    let recipient = try home.keys.recipient()
    var record = SyncRecord(folder: night.folder)
    let entry = try submitter.seal(prepared, nowMs: nowMs) { position, directory in
      record = night.record(bundle, besides: refused, number: position.sequence)
      try record.write(to: directory, recipient: recipient)
    }
    night.note(record)
    report(.sealed(entry, documents: entry.record.inputItems))
    try submitter.upload(entry, nowMs: nowMs) { report(.uploading($0, of: entry.record.bundleBytes)) }
    report(.uploaded(entry))
    summary.jobs.append(entry)
  }
}
