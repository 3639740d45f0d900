import ObjectStore
import Queue
import Wire

/// Every metric of the daemon. Names, units and labels are promised by docs/operations/monitoring.md; the dashboard and the
/// alerts in `infra/` use them, and a test compares all three.
///
/// Labels come from closed lists of this program (states, results, classes of faults), from the operator's own
/// configuration (queues, schedules, workers), and from nothing else.
final class DaemonMetrics: Sendable {
  // MARK: Queue

  let queueJobs = GaugeFamily(
    MetricDescription(
      "ephemeral_queue_jobs", "Jobs by queue and state.", labels: ["queue", "state"], seriesLimit: 512))
  let queueOldestReady = GaugeFamily(
    MetricDescription(
      "ephemeral_queue_oldest_ready_seconds", "How long the longest waiting ready job of a queue has been ready.",
      unit: "seconds", labels: ["queue"]))
  let queuePaused = GaugeFamily(
    MetricDescription("ephemeral_queue_paused", "1 while a queue is paused.", labels: ["queue"]))
  let jobsEnded = CounterFamily(
    MetricDescription(
      "ephemeral_jobs_ended", "Jobs that ended here: by a receipt of this outcome, or as cancelled or dead.",
      labels: ["outcome"]),
    known: (JobOutcome.allCases.map(\.rawValue) + ["cancelled", "dead"]).map { [$0] })
  let leasesExpired = CounterFamily(
    MetricDescription(
      "ephemeral_leases_expired", "Leases that were taken back, by why: no heartbeat, deadline, or the daemon's end.",
      labels: ["fault"]),
    known: [FaultClass.leaseExpired, .deadlineExceeded, .daemonLost].map { [$0.rawValue] })
  let fenceRejections = CounterFamily(
    MetricDescription(
      "ephemeral_fence_rejections", "Calls of attempts that no longer held their lease; nothing of them took effect."))

  // MARK: Attempts

  let attemptSeconds = HistogramFamily(
    MetricDescription(
      "ephemeral_attempt_duration_seconds", "Attempts from claim to end, by how they ended.", unit: "seconds",
      labels: ["result"]),
    bounds: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600],
    known: ["finished", "retry", "released", "cancelled", "dead", "fenced", "abandoned"].map { [$0] })
  let faults = CounterFamily(
    MetricDescription(
      "ephemeral_attempt_faults", "Attempts that ended by a fault and are tried again, by its class.",
      labels: ["fault"]),
    known: FaultClass.allCases.map { [$0.rawValue] })
  let workerBytes = CounterFamily(
    MetricDescription(
      "ephemeral_worker_transfer_bytes", "Ciphertext between host and workers.", unit: "bytes",
      labels: ["worker", "direction"]))

  // MARK: Workers and keys

  let workersConfigured = GaugeFamily(
    MetricDescription("ephemeral_workers", "Workers that the daemon is configured with."))
  let workerReady = GaugeFamily(
    MetricDescription(
      "ephemeral_worker_ready", "1 while a worker can take jobs or runs one.", labels: ["worker"]))
  let workerState = GaugeFamily(
    MetricDescription(
      "ephemeral_worker_state", "1 for the state in which a worker is.", labels: ["worker", "state"]))
  let workerRestarts = CounterFamily(
    MetricDescription(
      "ephemeral_worker_restarts", "Starts of a worker's program after the first.", labels: ["worker"]))
  let epochNumber = GaugeFamily(
    MetricDescription("ephemeral_epoch_number", "Number of the epoch that clients seal to."))
  let epochFrom = GaugeFamily(
    MetricDescription(
      "ephemeral_epoch_start_timestamp_seconds", "When the epoch that clients seal to began.", unit: "seconds"))
  let epochUntil = GaugeFamily(
    MetricDescription(
      "ephemeral_epoch_expiry_timestamp_seconds", "When the epoch that clients seal to ends.", unit: "seconds"))
  let policyVersion = GaugeFamily(MetricDescription("ephemeral_policy_version", "Version of the policy in force."))
  let policyUntil = GaugeFamily(
    MetricDescription(
      "ephemeral_policy_expiry_timestamp_seconds", "When the policy in force ends.", unit: "seconds"))
  let relayConnections = CounterFamily(
    MetricDescription(
      "ephemeral_kms_relay_connections",
      "Connections of workers to the KMS relay: connected, unreachable (KMS did not answer), refused (over the limit).",
      labels: ["result"]),
    known: [["connected"], ["unreachable"], ["refused"]])

  // MARK: Intake and schedules

  let intakeSeconds = HistogramFamily(
    MetricDescription(
      "ephemeral_intake_pass_duration_seconds", "Looks into the inbox, by how they ended.", unit: "seconds",
      labels: ["result"]),
    bounds: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60], known: [["ok"], ["failed"]])
  let intakeObjects = GaugeFamily(
    MetricDescription("ephemeral_intake_objects", "Objects that the last look found, by kind.", labels: ["kind"]))
  let intakeJobs = CounterFamily(MetricDescription("ephemeral_intake_jobs", "Jobs that were taken in."))
  let intakeLast = GaugeFamily(
    MetricDescription(
      "ephemeral_intake_last_success_timestamp_seconds", "When the inbox was last looked through.", unit: "seconds"))
  let scheduleRuns = CounterFamily(
    MetricDescription("ephemeral_schedule_runs", "Runs that were opened.", labels: ["schedule"]))
  let scheduleSkips = CounterFamily(
    MetricDescription(
      "ephemeral_schedule_skips", "Nominal times that were passed over, by reason.", labels: ["schedule", "reason"],
      seriesLimit: 128))
  let scheduleLastRun = GaugeFamily(
    MetricDescription(
      "ephemeral_schedule_last_run_timestamp_seconds", "Nominal time of a schedule's last run.", unit: "seconds",
      labels: ["schedule"]))
  let scheduleLastSuccess = GaugeFamily(
    MetricDescription(
      "ephemeral_schedule_last_success_timestamp_seconds",
      "Nominal time of a schedule's last run whose members' receipts all say completed.", unit: "seconds",
      labels: ["schedule"]))
  let scheduleNext = GaugeFamily(
    MetricDescription(
      "ephemeral_schedule_next_timestamp_seconds", "Next nominal time of a schedule.", unit: "seconds",
      labels: ["schedule"]))
  let schedulePaused = GaugeFamily(
    MetricDescription("ephemeral_schedule_paused", "1 while a schedule is paused.", labels: ["schedule"]))

  // MARK: Store and disk

  let storeRequests = CounterFamily(
    MetricDescription(
      "ephemeral_store_requests", "Requests to the object store, retries included, by how they ended.",
      labels: ["operation", "outcome"], seriesLimit: 96))
  let storeSeconds = HistogramFamily(
    MetricDescription(
      "ephemeral_store_request_duration_seconds", "Requests to the object store, to the last byte of the answer.",
      unit: "seconds", labels: ["operation"]),
    bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
  let storeRetries = CounterFamily(
    MetricDescription("ephemeral_store_retries", "Requests that were made again.", labels: ["operation"]))
  let storeBytes = CounterFamily(
    MetricDescription(
      "ephemeral_store_transfer_bytes", "Bodies of requests (out) and answers (in).", unit: "bytes",
      labels: ["direction"]),
    known: [["in"], ["out"]])
  let commitSeconds = HistogramFamily(
    MetricDescription(
      "ephemeral_sqlite_commit_duration_seconds", "Commits of the queue's database, until they are durable.",
      unit: "seconds"),
    bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5])
  let databaseBytes = GaugeFamily(
    MetricDescription(
      "ephemeral_sqlite_file_bytes", "Size of the queue's database and of its write-ahead log.", unit: "bytes",
      labels: ["file"]))
  let stateFreeBytes = GaugeFamily(
    MetricDescription(
      "ephemeral_state_free_bytes", "Room that is left on the volume of the state folder.", unit: "bytes"))
  let stateSizeBytes = GaugeFamily(
    MetricDescription("ephemeral_state_size_bytes", "Size of the volume of the state folder.", unit: "bytes"))

  // MARK: The daemon

  let ready = GaugeFamily(
    MetricDescription("ephemeral_ready", "1 for each condition of readiness that is met.", labels: ["check"]))
  let loopStalled = GaugeFamily(
    MetricDescription("ephemeral_loop_stalled", "1 for a loop of the daemon that no longer turns.", labels: ["loop"]))
  let sampled = GaugeFamily(
    MetricDescription(
      "ephemeral_sample_timestamp_seconds", "When the figures of queue, workers and schedules were gathered.",
      unit: "seconds"))
  let httpRequests = CounterFamily(
    MetricDescription(
      "ephemeral_http_requests", "Requests to this endpoint that were answered.", labels: ["path", "code"]))
  let buildInfo = GaugeFamily(
    MetricDescription("ephemeral_build_info", "1, with the version of the daemon.", labels: ["version", "commit"]))
  let process = ProcessMetrics()

  /// All families, in the order in which they are written.
  var families: [any MetricFamily] {
    [
      buildInfo, ready, loopStalled, sampled, queueJobs, queueOldestReady, queuePaused, jobsEnded, leasesExpired,
      fenceRejections, attemptSeconds, faults, workerBytes, workersConfigured, workerReady, workerState, workerRestarts,
      epochNumber, epochFrom, epochUntil, policyVersion, policyUntil, relayConnections, intakeSeconds, intakeObjects,
      intakeJobs, intakeLast, scheduleRuns, scheduleSkips, scheduleLastRun, scheduleLastSuccess, scheduleNext,
      schedulePaused, storeRequests, storeSeconds, storeRetries, storeBytes, commitSeconds, databaseBytes,
      stateFreeBytes, stateSizeBytes, httpRequests,
    ] + process.families
  }

  init() { buildInfo.set(1, [Version.text, Version.commit]) }

  /// Everything, with the process' figures of this moment.
  func exposition(as format: ExpositionFormat) -> String {
    process.update(.read())
    return Exposition.text(families.map { $0.snapshot() }, as: format)
  }
}
