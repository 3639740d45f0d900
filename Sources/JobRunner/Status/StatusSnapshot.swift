import Attestation
import Queue
import Wire

// What the status page, `/status.json` and `/readyz` show: gathered by `SnapshotKeeper`, and no more than the host knows
// anyhow (docs/threat-model.md). Jobs go by the beginning of their names, sizes are rounded up to a power of two, and
// nothing names a document, a stream, a tenant or a submitter. The JSON keys stay.

/// The daemon at a moment.
struct StatusSnapshot: Encodable, Sendable {
  /// When it was gathered, milliseconds since 1970.
  var takenMs: Int64
  var about: DaemonAbout
  var readiness: Readiness
  var policy: PolicyLine?
  var epoch: EpochLine?
  var queues: [QueueLine] = []
  var workers: [WorkerLine] = []
  var schedules: [ScheduleLine] = []
  /// The last jobs that ended, the newest first.
  var receipts: [ReceiptLine] = []
}

/// The daemon itself.
struct DaemonAbout: Encodable, Sendable {
  var version: String
  var commit: String
  var startedMs: Int64
  /// Without credentials.
  var store: String
}

/// Whether jobs can be taken now.
struct Readiness: Encodable, Sendable, Equatable {
  /// One condition.
  struct Check: Encodable, Sendable, Equatable {
    /// `store`, `queue`, `workers` or `policy`.
    let name: String
    let isMet: Bool
    /// Why not, and what to do; nil when it is met.
    let reason: String?

    /// - Parameter fault: nil when the condition is met.
    init(_ name: String, fault: String?) {
      self.name = name
      isMet = fault == nil
      reason = fault
    }

    private enum CodingKeys: String, CodingKey {
      case name, reason
      case isMet = "ok"
    }
  }

  let isReady: Bool
  /// What is not met, for an operator.
  let reasons: [String]
  let checks: [Check]

  init(_ checks: [Check]) {
    self.checks = checks
    isReady = checks.allSatisfy(\.isMet)
    reasons = checks.compactMap { check in check.reason.map { "\(check.name): \($0)" } }
  }

  private enum CodingKeys: String, CodingKey {
    case reasons, checks
    case isReady = "ready"
  }
}

/// The policy in force, as far as the host can read it.
struct PolicyLine: Encodable, Sendable, Equatable {
  var version: UInt64
  var expiresMs: UInt64
}

/// The sealing key that clients see.
struct EpochLine: Encodable, Sendable, Equatable {
  var number: UInt64
  var fromMs: UInt64
  var untilMs: UInt64
}

/// One queue.
struct QueueLine: Encodable, Sendable {
  var queue: String
  var isPaused: Bool
  /// Jobs by state, every state.
  var jobs: [String: Int64]
  var oldestReadyMs: Int64?
}

/// One worker, under a name that is short enough for a label.
struct WorkerLine: Encodable, Sendable, Equatable {
  var worker: String
  /// `ready`, `busy`, or what keeps it from either.
  var state: String
  var isReady: Bool
  /// Why it is not ready, for an operator.
  var reason: String?
  /// The beginning of its PCR0.
  var image: String?
  /// As its status pretends; what is not `production` is said on top of the page.
  var evidence: String?
  /// Since when it is in this state.
  var sinceMs: Int64?
}

/// One schedule.
struct ScheduleLine: Encodable, Sendable {
  var schedule: String
  var summary: String?
  var queue: String
  var isPaused: Bool
  var nextMs: Int64?
  /// The last nominal time that had a run or was passed over.
  var lastRun: RunLine?
  /// Nominal time of the last run whose members' receipts all say completed.
  var lastSuccessMs: Int64?
}

/// A schedule's run.
struct RunLine: Encodable, Sendable {
  var nominalMs: Int64
  /// A ``RunStatus``, `no bundle`, or `skipped: …`.
  var status: String
  var members: Int64
}

/// One job that ended.
struct ReceiptLine: Encodable, Sendable, Equatable {
  /// The first twelve digits of its name.
  var job: String
  var queue: String
  /// The receipt's outcome, `cancelled` or `dead`.
  var outcome: String
  var finishedMs: Int64
  var attempts: Int64
  /// A power of two.
  var bundleBytesUpTo: Int64

  init(
    job: JobName, queue: QueueName, outcome: String, finished: Timestamp, attempts: Int64, bundleBytes: Int64
  ) {
    self.job = String(job.hex.prefix(12))
    self.queue = queue.rawValue
    self.outcome = outcome
    finishedMs = finished.milliseconds
    self.attempts = attempts
    bundleBytesUpTo = Self.coarse(bundleBytes)
  }

  /// The smallest power of two, from 1 KiB on, that is not less.
  static func coarse(_ bytes: Int64) -> Int64 {
    var size: Int64 = 1024
    while size < bytes, size <= .max / 2 { size *= 2 }
    return size
  }
}

extension QueueLine {
  /// Counts as the queue has them.
  init(_ stats: QueueStats) {
    let jobs = JobState.allCases.map { ($0.rawValue, stats.counts[$0] ?? 0) }
    self.init(
      queue: stats.queue.rawValue, isPaused: stats.isPaused, jobs: Dictionary(uniqueKeysWithValues: jobs),
      oldestReadyMs: stats.oldestReadyAt?.milliseconds)
  }
}
