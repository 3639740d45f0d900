import Logging
import ObjectStore
import Queue

/// Puts runs, pauses and added schedules on record in the store, a moment after they came about, so that they outlive the
/// database. The queue's row comes first: a record without a run would cost a night.
final class HostRecorder: @unchecked Sendable {
  private let queue: SQLiteQueue
  private let memory: HostMemory
  private let restore: StoreRestore
  private let log: Logger
  private let loop = StoppableLoop("recorder")
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone, like those below.
  private var complaint = Complaint()
  private var recorded: QueueSettings?
  private var markedAt = ContinuousClock.now
  /// A disk's snapshot that is put back is noticed when it is older than this, or than the last run.
  private static let markAge = Duration.seconds(3600)
  private static let pauseSeconds = 2.0
  private static let runsAtOnce = 100

  init(queue: SQLiteQueue, store: any ObjectStore, restore: StoreRestore, log: Logger) {
    self.queue = queue
    self.restore = restore
    self.log = log
    memory = HostMemory(store: store)
  }

  func start() {
    loop.start { [self] in
      repeat { look() } while loop.rest(atMost: Self.pauseSeconds)
      look()
    }
  }

  func stop(within seconds: Double) { loop.stop(within: seconds) }

  private func look() {
    do {
      try record()
      complaint.clear()
    } catch {
      if complaint.isDue("\(error)") { log.warning("runs and settings are not on record in the store: \(error)") }
    }
  }

  /// What has come about since the last call.
  func record() throws {
    var isMarkDue = ContinuousClock.now - markedAt >= Self.markAge
    while true {
      let runs = try queue.unrecordedRuns(limit: Self.runsAtOnce)
      for (id, run) in runs {
        _ = try memory.write(run)
        try queue.noteRunsRecorded(through: id)
        isMarkDue = true
      }
      if runs.count < Self.runsAtOnce { break }
    }
    if isMarkDue {
      try restore.noteMark()
      markedAt = .now
    }
    let settings = try queue.settings()
    guard settings != recorded else { return }
    try memory.write(settings, of: try queue.standing().id)
    recorded = settings
  }
}
