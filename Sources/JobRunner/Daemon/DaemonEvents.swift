import Queue
import Wire

/// What happens in the daemon, as an observer (metrics, say) is told of it. Calls come from many threads, also from those
/// that keep leases alive: an observer counts and returns, it never waits. Each call has a default that does nothing.
protocol DaemonEvents: Sendable {
  /// An attempt is over, `seconds` after its claim.
  func attemptEnded(worker: String, queue: QueueName, seconds: Double, ending: AttemptEnding)
  /// A lease was taken back: `leaseExpired`, `deadlineExceeded`, or `daemonLost` at the start.
  func leaseReaped(_ fault: FaultClass)
  /// A worker's health changed.
  func workerChanged(_ worker: String, to state: WorkerState)
  /// Ciphertext went from the store to a worker, or from a worker to the store.
  func bytesMoved(_ direction: TransferDirection, worker: String, count: Int)
  /// A worker's connection to KMS came to the relay, and this became of it.
  func relayConnection(_ outcome: RelayOutcome)
  /// The daemon has started a worker's program another time; the first start is none.
  func workerRestarted(_ worker: String)
  /// The whole inbox was looked through.
  func intakePassed(_ summary: IntakeSummary, seconds: Double, at now: Timestamp)
  /// A look into the inbox broke off.
  func intakeFailed(seconds: Double)
  /// The schedules were looked at, and this was opened and passed over.
  func schedulesTurned(_ turn: SchedulerDriver.Turn)
}

extension DaemonEvents {
  func attemptEnded(worker: String, queue: QueueName, seconds: Double, ending: AttemptEnding) {}
  func leaseReaped(_ fault: FaultClass) {}
  func workerChanged(_ worker: String, to state: WorkerState) {}
  func bytesMoved(_ direction: TransferDirection, worker: String, count: Int) {}
  func relayConnection(_ outcome: RelayOutcome) {}
  func workerRestarted(_ worker: String) {}
  func intakePassed(_ summary: IntakeSummary, seconds: Double, at now: Timestamp) {}
  func intakeFailed(seconds: Double) {}
  func schedulesTurned(_ turn: SchedulerDriver.Turn) {}
}

/// Nobody looks.
struct NoDaemonEvents: DaemonEvents {}

/// How an attempt ended, without what only its own job knows.
enum AttemptEnding: Hashable, Sendable {
  case finished(JobOutcome)
  /// It will be tried again: the fault's class.
  case retry(FaultClass)
  case released
  case cancelled
  case dead
  /// The fence refused it: the job went on without this attempt.
  case fenced
  /// Its end could not be recorded.
  case abandoned
}

/// Which way bytes went.
enum TransferDirection: String, CaseIterable, Sendable {
  case toWorker = "to_worker"
  case fromWorker = "from_worker"
}

/// What became of a connection to the relay.
enum RelayOutcome: String, CaseIterable, Sendable {
  /// KMS, or what plays it, took the connection.
  case connected
  /// It could not be reached.
  case unreachable
  /// Too many connections at once: closed.
  case refused
}

/// A worker's health.
enum WorkerState: String, CaseIterable, Sendable {
  /// Supplied, and waits for a job.
  case ready
  /// Runs one.
  case busy
  /// Cannot be reached, or does not take what it is given.
  case notReady = "not_ready"
  /// Failed several attempts in a row, and is given none until its time is over.
  case quarantined

  /// Can take jobs, or runs one.
  var takesJobs: Bool { self == .ready || self == .busy }
}
