import Foundation
import Queue
import Wire

/// What the daemon answers to its operators.
struct OperatorDesk: Sendable {
  let queue: any RetentionStore
  let inbox: StoreInbox
  let workers: WorkersDesk
  let janitor: JanitorLoop
  let schedules: ScheduleBook
  /// Called when a schedule came, went, or goes on.
  let onSchedules: @Sendable () -> Void
  let clock: any QueueClock
  let states: StateWriter
  let epochs: EpochDesk
  let database: DatabaseDesk
  /// The answer to a ping.
  let about: String
  /// How long a verb that works in steps goes on before it answers how far it came.
  var patience = Duration.seconds(60)

  /// - Throws: what queue and store throw; the text is for the operator.
  func answer(_ request: OperatorRequest) throws -> OperatorReply {
    let now = clock.now()
    do {
      switch request.verb {
      case .ping: return .done(about, ["about": .text(about)])
      case .stats: return try stats()
      case .list: return try list(request)
      case .inspect: return try withJob(request, inspect)
      case .retry where request.all == true: return try retryAllDead(request, at: now)
      case .retry: return try withJob(request) { try retry($0, at: now) }
      case .cancel: return try withJob(request) { try cancel($0, at: now) }
      case .pause, .resume: return try pause(request, at: now)
      case .drain:
        workers.pool.drain()
        return .done("no job will be claimed any more; what is under way goes on", ["draining": .bool(true)])
      case .undrain:
        workers.pool.undrain()
        return .done("jobs are claimed again", ["draining": .bool(false)])
      case .prune: return try prune(request)
      case .scheduleList, .scheduleShow, .scheduleNext, .scheduleRun, .scheduleAdd, .schedulePause, .scheduleResume,
        .scheduleRemove:
        return try answerOnSchedules(request, at: now)
      case .epochs: return try epochs.list()
      case .epochRotate: return try epochs.rotate()
      case .epochRetire:
        guard let number = request.epoch else { return .refused("name the epoch") }
        return try epochs.retire(number, deletingSeed: request.deleteSeed ?? false)
      case .status: return workers.status(about, at: now)
      case .workers: return workers.list()
      case .workerDrain, .workerUndrain:
        return workers.setDraining(request.verb == .workerDrain, request.worker ?? "")
      case .databaseCheck: return try database.check()
      case .databaseBackup: return try database.backUp(to: request.path, keep: request.keep)
      case .databaseMigrate: return try database.migrate(isDryRun: request.dryRun ?? false)
      case .databaseRebuild: return try database.rebuild()
      }
    } catch let error as QueueError {
      switch error {
      case .unknownJob(let job): return noSuchJob(job.hex)
      case .illegalMove: return .refused("\(error)", remedy: "`ephemeral queue inspect` shows where it stands")
      case .bundleCleared: return .refused("\(error)", remedy: "its submitter must submit again")
      default: throw error
      }
    }
  }
}

// MARK: Jobs

extension OperatorDesk {
  /// The job that a whole name, or the beginning of one, means.
  private func withJob(_ request: OperatorRequest, _ body: (JobName) throws -> OperatorReply) throws -> OperatorReply {
    let text = (request.job ?? "").lowercased()
    if let name = JobName(hex: text) { return try body(name) }
    guard (4..<64).contains(text.utf8.count),
      let first = JobName(hex: text + String(repeating: "0", count: 64 - text.utf8.count)),
      let last = JobName(hex: text + String(repeating: "f", count: 64 - text.utf8.count))
    else {
      return .refused(
        "\"\(text.prefix(80))\" is no job's name", remedy: "give its 64 hexadecimal digits, or at least the first four")
    }
    let found = try queue.names(from: first, through: last, limit: 2)
    guard let name = found.first else { return noSuchJob(text) }
    guard found.count == 1 else { return .refused("several jobs begin with \(text)", remedy: "give more digits") }
    return try body(name)
  }

  private func noSuchJob(_ name: String) -> OperatorReply {
    .missing("the queue has no job \(name)", remedy: "`ephemeral queue list` shows its jobs")
  }

  func withQueue(_ text: String, _ body: (QueueName) throws -> OperatorReply) throws -> OperatorReply {
    var known = Set(try queue.stats().map(\.queue) + schedules.inForce.map(\.queue))
    // Where clients put what names no schedule; it is there before the first job is.
    if let fallback = QueueName("default") { known.insert(fallback) }
    guard let name = QueueName(text), known.contains(name) else {
      let names = known.sorted().map(\.rawValue).joined(separator: ", ")
      return .missing("there is no queue \"\(text.prefix(80))\"", remedy: "name one of: \(names)")
    }
    return try body(name)
  }

  private func retry(_ name: JobName, at now: Timestamp) throws -> OperatorReply {
    try queue.retryDead(name, at: now)
    states.note(CollectionOfOne(name))
    workers.pool.wake()
    return .done("job \(name) will run again", ["job": .text(name.hex), "state": .text(JobState.ready.rawValue)])
  }

  private func cancel(_ name: JobName, at now: Timestamp) throws -> OperatorReply {
    let effect = try queue.requestCancel(name, at: now)
    let facts: OperatorRow = ["job": .text(name.hex), "effect": .text(effect.rawValue)]
    switch effect {
    case .unknown: return noSuchJob(name.hex)
    case .tooLate: return .refused("job \(name) has ended already", remedy: "nothing is left to cancel")
    case .cancelled, .requested: states.note(CollectionOfOne(name))
    }
    return .done(
      effect == .cancelled ? "job \(name) is cancelled" : "job \(name) will be cancelled, unless it ends first", facts)
  }

  private func pause(_ request: OperatorRequest, at now: Timestamp) throws -> OperatorReply {
    let isPause = request.verb == .pause
    return try withQueue(request.queue ?? "") { name in
      try queue.setPaused(isPause, queue: name, at: now)
      workers.pool.wake()
      return .done(
        "queue \(name) is \(isPause ? "paused" : "running")", ["queue": .text(name.rawValue), "paused": .bool(isPause)])
    }
  }

  private func stats() throws -> OperatorReply {
    let states: [JobState] = [.held, .ready, .running, .retryWait, .finished, .cancelled, .dead]
    let rows = try queue.stats().map { stats in
      var row: OperatorRow = [
        "queue": .text(stats.queue.rawValue), "paused": .bool(stats.isPaused),
        "oldest_ready_ms": .time(stats.oldestReadyAt), "oldest_heartbeat_ms": .time(stats.oldestHeartbeatAt),
      ]
      for state in states { row[state.rawValue] = .number(stats.counts[state] ?? 0) }
      return row
    }
    return .table("queues", ["queue", "paused"] + states.map(\.rawValue) + ["oldest_ready_ms"], rows)
  }

  private func list(_ request: OperatorRequest) throws -> OperatorReply {
    var filter = JobFilter(limit: min(max(request.limit ?? 100, 1), 10_000))
    if let text = request.state {
      guard let state = JobState(rawValue: text) else {
        return .refused(
          "there is no state \"\(text.prefix(80))\"",
          remedy: "name one of: \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      filter.state = state
    }
    let answer = {
      OperatorReply.table(
        "jobs", ["job", "queue", "state", "attempt", "outcome", "last_fault", "bundle_bytes"],
        try queue.list(filter).map(Self.row))
    }
    guard let text = request.queue else { return try answer() }
    return try withQueue(text) { name in
      filter.queue = name
      return try answer()
    }
  }

  private func inspect(_ name: JobName) throws -> OperatorReply {
    guard let detail = try queue.inspect(name) else { return noSuchJob(name.hex) }
    let rows = detail.attempts.map { attempt -> OperatorRow in
      [
        "attempt": .number(attempt.number), "worker": .text(attempt.owner), "started_ms": .time(attempt.startedAt),
        "ended_ms": .time(attempt.endedAt), "end": .optional(attempt.end?.rawValue),
        "fault": .optional(attempt.fault?.faultClass.rawValue), "detail": .optional(attempt.fault?.detail),
      ]
    }
    var reply = OperatorReply.table(
      "attempts", ["attempt", "worker", "started_ms", "ended_ms", "end", "fault", "detail"], rows)
    reply.message = "job \(name): \(detail.job.state.rawValue), queue \(detail.job.queue)"
    reply.facts = Self.row(detail.job)
    return reply
  }

  static func row(_ job: Job) -> OperatorRow {
    [
      "job": .text(job.name.hex), "queue": .text(job.queue.rawValue), "tenant": .optional(job.tenant),
      "state": .text(job.state.rawValue),
      "attempt": .number(job.attempt), "strikes": .number(job.strikes), "priority": .number(job.priority),
      "run": job.run.map { .number($0.rawValue) } ?? .null, "outcome": .optional(job.commit?.outcome.rawValue),
      "last_fault": .optional(job.lastFault?.rawValue), "bundle_bytes": .number(job.bundleBytes),
      "enqueued_ms": .time(job.enqueuedAt), "next_attempt_ms": .time(job.nextAttemptAt),
      "cancel_requested_ms": .time(job.cancelRequestedAt), "finished_ms": .time(job.finishedAt),
      "heartbeat_ms": .time(job.heartbeatAt), "inbox_cleared_ms": .time(job.inboxClearedAt),
    ]
  }
}
