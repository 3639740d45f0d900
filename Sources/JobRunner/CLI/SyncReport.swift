import Client
import SealedCrypto
import Wire

/// A sync as people and programs follow it.
final class SyncReport {
  private let screen: Screen
  private let store: String
  /// Documents of each change that are shown one by one to people; --json has all.
  private static let shown: UInt64 = 20
  private var counts: [DocumentChange: UInt64] = [:]

  init(screen: Screen, store: String) {
    self.screen = screen
    self.store = store
  }

  /// Shows what happens.
  func show(_ event: SyncEvent) {
    switch event {
    case .uploadedPending(let entry):
      screen.line(Self.job("uploaded-pending", entry))
      screen.stage("uploaded", "job \(Self.name(entry)), which an earlier command had sealed")
    case .refusedPending(let entry, let error): screen.refusedPending(entry, error)
    case .earlier(let night): show(night)
    case .notFetched(let night, let reason):
      screen.line(
        .object([
          ("event", .text("not-fetched")), ("sequence", .unsigned(night.number)), ("reason", .text(reason)),
        ]))
      screen.note("number \(night.number): its results were not fetched: \(Shown.printable(reason, limit: 400))")
    case .document(let path, let change, let reason): show(path, change, reason)
    case .reading(let count): screen.progress("reading: \(Shown.number(count))")
    case .prepared(let prepared):
      PreparedReport(screen: screen).show(prepared)
      if prepared.survey.truncated > 0 {
        screen.stage("too long", "\(Shown.count(prepared.survey.truncated, "document")) whose end will be cut off")
      }
    case .sealed(let entry, let documents):
      screen.stage(
        "sealed",
        "\(Shown.count(documents, "document")), \(Shown.bytes(entry.record.bundleBytes)), number "
          + "\(entry.record.stream.sequence) of stream \(Shown.printable(entry.record.stream.name))")
    case .uploading(let bytes, let all): screen.progress("uploading: \(Shown.bytes(bytes)) of \(Shown.bytes(all))")
    case .uploaded(let entry):
      screen.line(Self.job("uploaded", entry))
      screen.stage("uploaded", "\(store)/inbox/\(entry.record.queue)/\(Self.name(entry))…")
    }
  }

  private func show(_ path: String, _ change: DocumentChange, _ reason: String?) {
    screen.line(
      .object([
        ("event", .text("document")), ("path", .text(path)), ("change", .text(change.rawValue)),
        ("reason", .optional(reason)),
      ]))
    counts[change, default: 0] += 1
    guard counts[change, default: 0] <= Self.shown else { return }
    let words: [DocumentChange: String] = [.unsettled: "left", .refused: "left out"]
    screen.stage(
      words[change] ?? change.rawValue,
      Shown.printable(path) + (reason.map { ": \(Shown.printable($0))" } ?? "")
        + (change == .unsettled ? "; the next sync takes it" : ""))
  }

  private func show(_ night: EarlierNight) {
    let (standing, words) = Self.words(night)
    screen.line(
      .object([
        ("event", .text("earlier")), ("sequence", .unsigned(night.number)), ("job", .text(night.entry.record.job.hex)),
        ("standing", .text(standing)), ("detail", .text(words)), ("items", .unsigned(night.entry.record.inputItems)),
        ("retried", .bool(night.entry.isRetried)), ("fetched", .optional(night.fetched)),
      ]))
    let name = "number \(night.number), job \(Self.name(night.entry)): "
    if !night.isOld || night.isLost, !night.entry.isRetried { screen.stage("earlier", name + words) }
    if let folder = night.fetched { screen.stage("fetched", "number \(night.number) to \(folder)/") }
  }

  /// How an earlier job stands, for programs and for people.
  private static func words(_ night: EarlierNight) -> (String, String) {
    switch night.standing {
    case .settled(let job):
      (
        job.outcome.rawValue,
        "receipt verified, \(job.outcome.rawValue), \(Shown.count(job.items, "document")), "
          + "\(Shown.number(job.failedItems)) failed"
          + (night.isLost && !night.entry.isRetried ? ". --retry-lost sends its documents again" : "")
      )
    case .waiting(let word):
      ("waiting", "no receipt yet; the host says: \(Shown.printable(word, limit: 40))")
    case .overdue(let word):
      (
        "overdue",
        "NO RECEIPT, and its time is over; the host says: \(Shown.printable(word, limit: 40)). --retry-lost sends its "
          + "\(Shown.count(night.entry.record.inputItems, "document")) again"
      )
    case .invalid(let reason): ("invalid", "its receipt DOES NOT VERIFY: \(Shown.printable(reason, limit: 300))")
    }
  }

  /// The end of a sync that ran to its end.
  func end(_ summary: SyncSummary, isDryRun: Bool, _ evidenceClass: String, _ status: ExitStatus) {
    let changes = DocumentChange.allCases.map { ($0.rawValue, JSONLine.unsigned(summary.count($0))) }
    let waiting = summary.earlier.filter { if case .waiting = $0.standing { true } else { false } }
    screen.line(
      .object(
        [("event", .text(isDryRun ? "dry-run" : "synced"))] + changes + [
          ("unchanged", .unsigned(summary.unchanged)), ("skipped", .unsigned(UInt64(summary.skipped.count))),
          ("jobs", .array(summary.jobs.map { .text($0.record.job.hex) })),
          ("sequences", .array(summary.jobs.map { .unsigned($0.record.stream.sequence) })),
          ("waiting", .array(waiting.map { .unsigned($0.number) })),
          ("lost", .array(summary.lost.map { .unsigned($0.number) })),
          ("invalid", .array(summary.invalid.map { .unsigned($0.number) })),
          ("evidence_class", .text(evidenceClass)), ("exit", .unsigned(UInt64(status.rawValue))),
        ]))
    for (change, count) in counts where count > Self.shown {
      screen.note("and \(Shown.number(count - Self.shown)) more \(change.rawValue); --json lists all")
    }
    if summary.skipped.count > 0 {
      let reasons = summary.skipped.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        .map { "\(Shown.number(UInt64($0.value))) \($0.key)" }
      screen.stage("no document", reasons.joined(separator: ", "))
    }
    let words = DocumentChange.allCases.filter { summary.count($0) > 0 || $0 == .new || $0 == .changed || $0 == .gone }
      .map { "\(Shown.number(summary.count($0))) \(Self.past($0))" }
    screen.out("\(words.joined(separator: ", ")), \(Shown.number(summary.unchanged)) unchanged")
    for entry in summary.jobs { screen.out(Self.sentence(entry)) }
    if isDryRun {
      screen.out("dry run: nothing was sealed")
    } else if summary.jobs.isEmpty {
      screen.out("nothing was sent")
    }
    if !waiting.isEmpty { screen.out("no receipt yet: \(Self.numbers(waiting))") }
    if !summary.lost.isEmpty { screen.out(screen.red("without results: \(Self.numbers(summary.lost))")) }
    if !summary.invalid.isEmpty { screen.out(screen.red("receipt does not verify: \(Self.numbers(summary.invalid))")) }
  }

  private static func past(_ change: DocumentChange) -> String {
    switch change {
    case .unsettled: "left for the next sync"
    case .refused: "left out"
    default: change.rawValue
    }
  }

  private static func sentence(_ entry: LedgerEntry) -> String {
    let record = entry.record
    let what = record.inputItems == 0 ? "empty, nothing new" : Shown.count(record.inputItems, "document")
    return "job \(record.job.hex)  number \(record.stream.sequence): \(what)"
  }

  private static func numbers(_ nights: [EarlierNight]) -> String {
    let all = nights.map { "\($0.number)" }
    return "number\(all.count == 1 ? "" : "s") " + all.prefix(20).joined(separator: ", ")
      + (all.count > 20 ? ", …" : "")
  }

  private static func name(_ entry: LedgerEntry) -> Substring { entry.record.job.hex.prefix(12) }

  private static func job(_ event: String, _ entry: LedgerEntry) -> JSONLine {
    .object([
      ("event", .text(event)), ("job", .text(entry.record.job.hex)),
      ("sequence", .unsigned(entry.record.stream.sequence)), ("items", .unsigned(entry.record.inputItems)),
    ])
  }
}
