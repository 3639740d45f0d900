import Foundation
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// What the daemon answers to its operators.
struct OperatorDesk: Sendable {
  let queue: any QueueStore
  let store: any ObjectStore
  let inbox: StoreInbox
  let executor: ExecutorLoop
  let schedules: [ScheduleDefinition]
  let clock: any QueueClock
  let states: StateWriter
  /// The answer to a ping.
  let about: String

  /// - Throws: what queue and store throw; the text is for the operator.
  func answer(_ request: OperatorRequest) throws -> OperatorReply {
    let now = clock.now()
    do {
      switch request.verb {
      case .ping: return .done(about)
      case .stats: return try stats(at: now)
      case .list: return try list(request)
      case .inspect: return try withJob(request, inspect)
      case .retry: return try withJob(request) { try retry($0, at: now) }
      case .cancel: return try withJob(request) { try cancel($0, at: now) }
      case .pause, .resume: return try pause(request, at: now)
      case .drain:
        executor.drain()
        return .done("no job will be claimed any more; what is under way goes on")
      case .scheduleList: return scheduleList(at: now)
      case .scheduleShow: return try withSchedule(request, runs)
      case .scheduleNext: return try withSchedule(request) { next(of: $0, count: request.limit ?? 5, at: now) }
      case .scheduleRun: return try withSchedule(request) { try run($0, at: now) }
      case .epochs: return try epochs()
      }
    } catch let error as QueueError {
      if case .unknownJob(let job) = error { return .missing("no such job: \(job)") }
      throw error
    }
  }

  static func time(_ moment: Timestamp) -> String {
    Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000).ISO8601Format()
  }

  private func epochs() throws -> OperatorReply {
    var rows: [OperatorRow] = []
    try store.forEach(prefix: StoreLayout.epochs) { info in
      if info.key.text.hasSuffix("/announcement.cose"),
        let claims = try? UnverifiedStatement<AnnouncementClaims>(try store.getSmall(info.key))
          .signedByItsOwnKey().signed.claims
      {
        rows.append([
          "epoch": "\(claims.epoch)", "from": Self.time(Timestamp(milliseconds: Int64(clamping: claims.notBeforeMs))),
          "until": Self.time(Timestamp(milliseconds: Int64(clamping: claims.notAfterMs))), "kms key": claims.kmsKey,
        ])
      }
      return true
    }
    return .table(["epoch", "from", "until", "kms key"], rows)
  }
}

// MARK: Jobs

extension OperatorDesk {
  private func withJob(_ request: OperatorRequest, _ body: (JobName) throws -> OperatorReply) throws -> OperatorReply {
    guard let name = JobName(hex: request.job ?? "") else {
      return .missing("no such job: a job's name is 64 hexadecimal digits")
    }
    return try body(name)
  }

  private func retry(_ name: JobName, at now: Timestamp) throws -> OperatorReply {
    try queue.retryDead(name, at: now)
    states.note(CollectionOfOne(name))
    executor.wake()
    return .done("job \(name) will run again")
  }

  private func cancel(_ name: JobName, at now: Timestamp) throws -> OperatorReply {
    let effect = try queue.requestCancel(name, at: now)
    states.note(CollectionOfOne(name))
    switch effect {
    case .cancelled: return .done("job \(name) is cancelled")
    case .requested: return .done("job \(name) will be cancelled, unless it ends first")
    case .tooLate: return .refused("job \(name) has ended already")
    case .unknown: return .missing("no such job: \(name)")
    }
  }

  private func pause(_ request: OperatorRequest, at now: Timestamp) throws -> OperatorReply {
    guard let name = QueueName(request.queue ?? "") else { return .refused("name the queue") }
    let isPause = request.verb == .pause
    try queue.setPaused(isPause, queue: name, at: now)
    executor.wake()
    return .done("queue \(name) is \(isPause ? "paused" : "running")")
  }

  private func stats(at now: Timestamp) throws -> OperatorReply {
    let states: [JobState] = [.held, .ready, .running, .retryWait, .finished, .cancelled, .dead]
    let rows = try queue.stats().map { stats in
      var row: OperatorRow = ["queue": "\(stats.queue)", "paused": stats.isPaused ? "yes" : "no"]
      for state in states { row[state.rawValue] = "\(stats.counts[state] ?? 0)" }
      row["oldest ready"] = stats.oldestReadyAt.map { "\((now - $0).wholeMilliseconds / 1000) s" } ?? "-"
      return row
    }
    return .table(["queue", "paused"] + states.map(\.rawValue) + ["oldest ready"], rows)
  }

  private func list(_ request: OperatorRequest) throws -> OperatorReply {
    var filter = JobFilter(limit: min(max(request.limit ?? 100, 1), 10_000))
    if let text = request.queue {
      guard let queue = QueueName(text) else { return .missing("no such queue") }
      filter.queue = queue
    }
    if let text = request.state {
      guard let state = JobState(rawValue: text) else {
        return .refused("states are \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      filter.state = state
    }
    let rows = try queue.list(filter).map { job -> OperatorRow in
      [
        "job": "\(job.name)", "queue": "\(job.queue)", "state": job.state.rawValue, "attempt": "\(job.attempt)",
        "outcome": job.commit?.outcome.rawValue ?? "-", "last fault": job.lastFault?.rawValue ?? "-",
        "bytes": "\(job.bundleBytes)",
      ]
    }
    return .table(["job", "queue", "state", "attempt", "outcome", "last fault", "bytes"], rows)
  }

  private func inspect(_ name: JobName) throws -> OperatorReply {
    guard let detail = try queue.inspect(name) else { return .missing("no such job: \(name)") }
    let rows = detail.attempts.map { attempt -> OperatorRow in
      [
        "attempt": "\(attempt.number)", "worker": attempt.owner, "started": Self.time(attempt.startedAt),
        "ended": attempt.endedAt.map(Self.time) ?? "-", "end": attempt.end?.rawValue ?? "-",
        "fault": attempt.fault.map { "\($0.faultClass.rawValue) \($0.detail)" } ?? "-",
      ]
    }
    var reply = OperatorReply.table(["attempt", "worker", "started", "ended", "end", "fault"], rows)
    reply.message = "job \(name): \(detail.job.state.rawValue), queue \(detail.job.queue)"
    return reply
  }
}

// MARK: Schedules

extension OperatorDesk {
  private func withSchedule(
    _ request: OperatorRequest, _ body: (ScheduleDefinition) throws -> OperatorReply
  ) throws -> OperatorReply {
    let name = request.schedule ?? ""
    guard let schedule = schedules.first(where: { $0.name == name }) else {
      return .missing("no such schedule: \(name)")
    }
    return try body(schedule)
  }

  private func scheduleList(at now: Timestamp) -> OperatorReply {
    let rows = schedules.map { schedule -> OperatorRow in
      [
        "schedule": schedule.name, "inbox": "inbox/\(schedule.queue)/", "summary": schedule.summary ?? "",
        "next": schedule.calendar?.next(after: now).map(Self.time) ?? "-",
      ]
    }
    return .table(["schedule", "inbox", "next", "summary"], rows)
  }

  private func runs(of schedule: ScheduleDefinition) throws -> OperatorReply {
    let rows = try queue.runs(of: schedule.name, limit: 50).map { run -> OperatorRow in
      let members = run.members.sorted { $0.key.rawValue < $1.key.rawValue }
      return [
        "run": "\(run.id)", "nominal": Self.time(run.nominalAt), "by": run.trigger.rawValue,
        "skipped": run.skipped?.rawValue ?? "-", "over": run.isOver ? "yes" : "no",
        "members": members.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", "),
      ]
    }
    return .table(["run", "nominal", "by", "skipped", "over", "members"], rows)
  }

  private func next(of schedule: ScheduleDefinition, count: Int, at now: Timestamp) -> OperatorReply {
    guard let calendar = schedule.calendar else { return .done("\(schedule.name) runs only at an operator's word") }
    var rows: [OperatorRow] = []
    var last = now
    while rows.count < min(max(count, 1), 1000), let due = calendar.next(after: last) {
      rows.append(["due": Self.time(due)])
      last = due
    }
    return .table(["due"], rows)
  }

  private func run(_ schedule: ScheduleDefinition, at now: Timestamp) throws -> OperatorReply {
    // What was uploaded a moment ago belongs to this run, so the inbox is read first.
    var driver = IntakeDriver(routes: InboxRoutes(schedules: schedules), store: queue, inbox: inbox)
    let summary = try driver.pass(at: now)
    states.note(summary.newJobs + summary.cancelledJobs)
    guard let opened = try SchedulerDriver(schedules, store: queue).runNow(schedule.name, at: now) else {
      return .refused("\(schedule.name) was run too often within this second; try again")
    }
    try states.note(membersOf: opened.run)
    executor.wake()
    return .done(
      "run \(opened.run) of \(schedule.name) took \(opened.members) bundle\(opened.members == 1 ? "" : "s")")
  }
}
