import Attestation
import Client
import Glibc
import ObjectStore
import SealedCrypto
import Wire

/// Follows a job by what the host says, until there is a receipt, and believes only that.
struct JobFollower {
  let context: ClientContext
  let profile: TrustProfile
  let store: any ObjectStore

  /// Waits, verifies the receipt, shows the outcome.
  ///
  /// - Parameter verdictOnStandardOutput: false where standard output carries the job's name alone.
  /// - Throws: ``ClientError``, of kind `timedOut` when the wait was long enough.
  func follow(
    _ job: JobName, timeoutSeconds: Int?, items: UInt64?, record: LedgerRecord? = nil,
    verdictOnStandardOutput: Bool = true
  ) throws -> ExitStatus {
    let screen = context.screen
    let deadline = timeoutSeconds.map { Timestamps.nowMs() + UInt64($0) * 1000 }
    try explainingTrouble(of: record) {
      _ = try Watcher(store: store).waitForCommit(
        job, deadlineMs: deadline, nowMs: Timestamps.nowMs, sleep: { usleep(UInt32($0) * 1000) }
      ) { statement in
        screen.line(
          .object([
            ("event", .text("host-says")), ("state", .text(statement.state)), ("attempt", .unsigned(statement.attempt)),
            ("done", .unsigned(statement.done)), ("updated", .unsigned(statement.updatedMs)),
          ]))
        screen.stage("the host says", Self.shown(statement, items))
      }
    }
    let receipt = try ResultsFetcher(home: context.home, profile: profile, store: store)
      .examine(job, identities: [], nowMs: Timestamps.nowMs(), downloading: false)
    let report = ReceiptReport(screen: screen, profile: profile)
    report.lineAlone(receipt)
    return try report.outcome(receipt, onStandardOutput: verdictOnStandardOutput)
  }

  /// Runs a wait; where it ends without a receipt, says what became of the key that the job was sealed to.
  private func explainingTrouble(of record: LedgerRecord?, _ wait: () throws -> Void) throws {
    do {
      try wait()
    } catch let error as ClientError where error.kind == .timedOut || error.kind == .jobFailed {
      guard let record, let (reason, remedy) = try? trouble(of: record) else { throw error }
      throw ClientError(error.kind, "\(error.reason); \(reason)", remedy: remedy)
    }
  }

  /// Why no worker opens a job any more, and what to do; nil while nothing speaks against it.
  func trouble(of record: LedgerRecord) throws -> (reason: String, remedy: String)? {
    let policy = try TrustStore(home: context.home).policies(profile).newest()?.claims
    let epoch = SealedEpoch(of: record)
    return try epoch.trouble(in: store, policy: policy, nowMs: Timestamps.nowMs()).map(epoch.explanation)
  }

  /// `running, attempt 1, 20 of 60 items`.
  static func shown(_ statement: HostStatement, _ items: UInt64?) -> String {
    var text = statement.state
    if statement.attempt > 0 { text += ", attempt \(statement.attempt)" }
    if statement.done > 0 {
      text += ", \(Shown.number(statement.done))" + (items.map { " of \(Shown.number($0))" } ?? "") + " items"
    }
    return text
  }
}

/// A receipt's verdict on the screen.
struct ReceiptReport {
  let screen: Screen
  let profile: TrustProfile

  private var suffix: String {
    profile.evidenceClass == .production ? "" : " (\(profile.evidenceClass.rawValue.uppercased()))"
  }

  /// Every line of the verdict.
  func showLines(_ receipt: ExaminedReceipt) {
    var lines: [JSONLine] = []
    for line in receipt.verdict.lines {
      let (word, text): (String, String) =
        switch line.answer {
        case .met(let text): ("ok", text)
        case .failed(let text): ("FAILED", text)
        case .notChecked(let text): ("–", text)
        }
      let mark =
        word == "ok"
        ? screen.green(Screen.padded(word, 8))
        : word == "FAILED" ? screen.red(Screen.padded(word, 8)) : Screen.padded(word, 8)
      screen.out("  \(Screen.padded(line.question.rawValue, 16))\(mark)\(Shown.printable(text))")
      lines.append(
        .object([
          ("check", .text(line.question.rawValue)),
          ("answer", .text(word == "ok" ? "met" : word == "FAILED" ? "failed" : "not-checked")),
          ("detail", .text(text)),
        ]))
    }
    screen.line(object(receipt, lines))
  }

  /// The verdict as JSON, without its lines on the screen.
  func lineAlone(_ receipt: ExaminedReceipt) { screen.line(object(receipt, [])) }

  private func object(_ receipt: ExaminedReceipt, _ lines: [JSONLine]) -> JSONLine {
    let claims = receipt.verdict.receipt?.claims
    return .object([
      ("event", .text("receipt")), ("job", .text(receipt.job.hex)), ("verified", .bool(receipt.verdict.isVerified)),
      ("outcome", .optional(claims?.outcome.rawValue)), ("items", .optional(claims?.job?.items)),
      ("failed_items", .optional(claims?.job?.failedItems)), ("policy_version", .optional(claims?.policyVersion)),
      ("attempt", .optional(claims?.attempt)), ("evidence_class", .text(profile.evidenceClass.rawValue)),
      ("lines", .array(lines)),
    ])
  }

  /// The verdict in one line, and the exit code of the job's outcome.
  ///
  /// - Parameter onStandardOutput: false where a script reads something else there.
  /// - Throws: ``ClientError`` when the receipt does not verify.
  func outcome(_ receipt: ExaminedReceipt, onStandardOutput: Bool = true) throws -> ExitStatus {
    let claims = try receipt.verified().claims
    let items = claims.job.map { ", \(Shown.count($0.items, "item")), \(Shown.number($0.failedItems)) failed" } ?? ""
    let summary = "receipt verified: \(claims.outcome.rawValue)\(items)\(suffix)"
    if onStandardOutput { screen.out(summary) } else { screen.note(summary) }
    if let fault = receipt.results?.trailer.fault {
      screen.note("the enclave says: \(Shown.printable(fault, limit: 2000))")
      screen.line(.object([("event", .text("fault")), ("message", .text(fault))]))
    }
    if Self.status(claims.outcome) == .jobFailed, receipt.results == nil {
      screen.note("why is in the sealed results: `ephemeral results get \(receipt.job.hex.prefix(12))`")
    }
    return Self.status(claims.outcome)
  }

  /// The exit code of a job's outcome.
  static func status(_ outcome: JobOutcome) -> ExitStatus {
    switch outcome {
    case .completed: .done
    case .partial: .partial
    case .failed, .refused: .jobFailed
    }
  }
}
