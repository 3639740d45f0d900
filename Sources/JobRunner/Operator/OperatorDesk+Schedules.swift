import Queue
import Wire

extension OperatorDesk {
  /// Answers whatever begins with `ephemeral schedule`.
  func answerOnSchedules(_ request: OperatorRequest, at now: Timestamp) throws -> OperatorReply {
    do {
      switch request.verb {
      case .scheduleAdd: return try add(request, at: now)
      case .scheduleShow: return try withEntry(request) { try show($0, run: request.run, at: now) }
      case .scheduleNext: return try withSchedule(request) { next(of: $0, count: request.limit ?? 5, at: now) }
      case .scheduleRun: return try withSchedule(request) { try run($0, at: now) }
      case .schedulePause: return try withEntry(request) { try pause($0, at: now) }
      case .scheduleResume: return try withEntry(request) { try resume($0, at: now) }
      case .scheduleRemove: return try withEntry(request) { try remove($0, isForced: request.force ?? false) }
      default: return try list(at: now)
      }
    } catch let error as ScheduleError {
      return .refused("\(error)", remedy: "mend the definition; jobs/nightly-embeddings.yaml explains every key")
    }
  }

  private func withEntry(
    _ request: OperatorRequest, _ body: (ScheduleEntry) throws -> OperatorReply
  ) throws -> OperatorReply {
    let name = request.schedule ?? ""
    guard let entry = schedules.entry(name) else {
      let names = Set(schedules.entries.map(\.name)).sorted().joined(separator: ", ")
      return .missing(
        "there is no schedule \"\(name.prefix(80))\"",
        remedy: names.isEmpty
          ? "the daemon has none; `schedule add FILE` adds one, --schedules names a folder of them"
          : "name one of: \(names)")
    }
    return try body(entry)
  }

  /// Only schedules that are in force.
  private func withSchedule(
    _ request: OperatorRequest, _ body: (ScheduleDefinition) throws -> OperatorReply
  ) throws -> OperatorReply {
    try withEntry(request) { entry in
      guard let definition = entry.definition, entry.trouble == nil else {
        return .refused("\(entry.name) is not in force: \(entry.trouble ?? "")", remedy: "`schedule show` says more")
      }
      return try body(definition)
    }
  }

  // MARK: Looking

  /// Bundles that wait, by inbox.
  private func waiting() throws -> [QueueName: Int64] {
    Dictionary(uniqueKeysWithValues: try queue.stats().map { ($0.queue, $0.counts[.held] ?? 0) })
  }

  private func list(at now: Timestamp) throws -> OperatorReply {
    var waiting = try waiting()
    let rows = schedules.entries.map { entry -> OperatorRow in
      let next = entry.pausedAt == nil && entry.trouble == nil ? entry.definition?.calendar?.next(after: now) : nil
      return [
        "schedule": .text(entry.name), "queue": .optional(entry.definition?.queue.rawValue),
        "state": .text(entry.stateWord), "origin": .text(entry.originWord), "file": .optional(entry.file),
        "next_ms": .time(next),
        "waiting": entry.definition.map { .number(waiting[$0.queue] ?? 0) } ?? .null,
        "paused_ms": .time(entry.pausedAt), "trouble": .optional(entry.trouble),
        "summary": .optional(entry.definition?.summary),
      ]
    }
    var reply = OperatorReply.table(
      "schedules", ["schedule", "queue", "state", "origin", "next_ms", "waiting", "summary"], rows)
    // A schedule that went without its bundles, or a daemon that was started with another folder.
    for definition in schedules.inForce { waiting[definition.queue] = nil }
    let left = waiting.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    if !left.isEmpty {
      let words = left.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
      reply.message = "bundles are held in inboxes that no schedule takes: \(words); add one with that `queue`"
    }
    return reply
  }

  private func show(_ entry: ScheduleEntry, run: Int64?, at now: Timestamp) throws -> OperatorReply {
    if let run { return try members(of: entry, RunID(rawValue: run)) }
    let rows = try queue.runs(of: entry.name, limit: 50).map(Self.row)
    var reply = OperatorReply.table("runs", ["run", "nominal_ms", "by", "status", "skipped", "members"], rows)
    var facts: OperatorRow = [
      "schedule": .text(entry.name), "state": .text(entry.stateWord), "origin": .text(entry.originWord),
      "file": .optional(entry.file), "paused_ms": .time(entry.pausedAt), "trouble": .optional(entry.trouble),
      "definition": .text(entry.text),
    ]
    reply.message =
      "\(entry.name): \(entry.stateWord)\(entry.trouble.map { " (\($0))" } ?? ""), \(entry.originSentence)"
    if let definition = entry.definition {
      let held = try waiting()[definition.queue] ?? 0
      facts["queue"] = .text(definition.queue.rawValue)
      facts["waiting"] = .number(held)
      reply.details = details(definition, waiting: held, isTicking: entry.pausedAt == nil, at: now)
    }
    reply.facts = facts
    return reply
  }

  private func details(
    _ definition: ScheduleDefinition, waiting: Int64, isTicking: Bool, at now: Timestamp
  ) -> [String] {
    var due = "only at an operator's word"
    if let calendar = definition.calendar {
      due = "\(calendar.expression.text) in \(calendar.timeZone)"
      if isTicking, let next = calendar.due(after: now, count: 1).first {
        due += "; next \(next.local)\(next.note.map { " (\($0))" } ?? "")"
      }
    }
    let deadline = definition.startingDeadline.map { ", start deadline \($0.components.seconds) s" } ?? ""
    let meant = [definition.operation, definition.model.map { "with \($0)" }].compactMap(\.self).joined(separator: " ")
    let lines = [
      definition.summary.map { "  summary   \($0)" },
      "  inbox     \(InboxKey.prefix)\(definition.queue)/, \(waiting) bundle\(waiting == 1 ? "" : "s") waiting",
      "  due       \(due)",
      "  rules     catchup \(definition.catchup.rawValue), overlap \(definition.overlap.rawValue)\(deadline), "
        + "priority \(definition.priority)",
      meant.isEmpty ? nil : "  meant     \(meant)",
    ]
    return lines.compactMap(\.self)
  }

  private static func row(_ run: Run) -> OperatorRow {
    let members = run.members.map { ($0.key.rawValue, $0.value) }
    let outcomes = run.outcomes.map { ($0.key.rawValue, $0.value) }
    return [
      "run": .number(run.id.rawValue), "nominal_ms": .time(run.nominalAt), "opened_ms": .time(run.openedAt),
      "by": .text(run.trigger.rawValue), "skipped": .optional(run.skipped?.rawValue), "over": .bool(run.isOver),
      "status": .text(run.status.rawValue), "members": .counts(Dictionary(uniqueKeysWithValues: members)),
      "outcomes": .counts(Dictionary(uniqueKeysWithValues: outcomes)),
    ]
  }

  private func members(of entry: ScheduleEntry, _ run: RunID) throws -> OperatorReply {
    guard let found = try queue.run(run), found.schedule == entry.name else {
      return .missing("\(entry.name) has no run \(run)", remedy: "`schedule show \(entry.name)` lists its runs")
    }
    let jobs = try queue.list(JobFilter(run: run, limit: 10_000))
    var reply = OperatorReply.table(
      "jobs", ["job", "state", "attempt", "outcome", "last_fault", "bundle_bytes"], jobs.map(Self.row))
    reply.message = "run \(run) of \(entry.name): \(found.status.rawValue)"
    reply.facts = Self.row(found)
    return reply
  }

  private func next(of schedule: ScheduleDefinition, count: Int, at now: Timestamp) -> OperatorReply {
    let isPaused = schedules.entry(schedule.name)?.pausedAt != nil
    guard let calendar = schedule.calendar else {
      var reply = OperatorReply.table("due", ["due_ms"], [])
      reply.message = "\(schedule.name) runs only at an operator's word"
      return reply
    }
    let rows = calendar.due(after: now, count: min(max(count, 1), 1000)).map { due -> OperatorRow in
      ["due_ms": .time(due.moment), "local": .text(due.local), "note": .optional(due.note)]
    }
    var reply = OperatorReply.table("due", ["local", "due_ms", "note"], rows)
    reply.message = "\(schedule.name): \(calendar.expression.text) in \(calendar.timeZone)"
    if isPaused { reply.message? += "; it is paused, none of these will run until `schedule resume`" }
    reply.facts = [
      "schedule": .text(schedule.name), "time_zone": .text(calendar.timeZone), "paused": .bool(isPaused),
    ]
    return reply
  }

  // MARK: Changing

  private func add(_ request: OperatorRequest, at now: Timestamp) throws -> OperatorReply {
    guard let text = request.definition else { return .refused("name the definition") }
    let (entry, effect) = try schedules.add(
      text, file: String((request.file ?? "the definition").prefix(200)), replacing: request.replace ?? false, at: now)
    onSchedules()
    let next = entry.definition?.calendar?.due(after: now, count: 1).first
    var words = "schedule \(entry.name) is \(effect == .unchanged ? "there already, unchanged" : effect.rawValue)"
    if let next { words += "; due next \(next.local)\(next.note.map { " (\($0))" } ?? "")" }
    return .done(
      words,
      [
        "schedule": .text(entry.name), "effect": .text(effect.rawValue), "next_ms": .time(next?.moment),
        "queue": .optional(entry.definition?.queue.rawValue),
      ])
  }

  private func pause(_ entry: ScheduleEntry, at now: Timestamp) throws -> OperatorReply {
    try schedules.setPaused(true, entry.name, at: now)
    return .done(
      "schedule \(entry.name) is paused: its bundles go on to wait, and `run-now` still takes them",
      ["schedule": .text(entry.name), "paused": .bool(true)])
  }

  private func resume(_ entry: ScheduleEntry, at now: Timestamp) throws -> OperatorReply {
    // Noted first: after a crash between the two the schedule is still paused, and the note stands for itself.
    if let definition = entry.definition, entry.pausedAt != nil,
      case .skip(let nominalAt, let reason) = SchedulerMachine(definition).resumption(
        try queue.standing(of: entry.name, at: now), at: now)
    {
      try queue.skipRun(schedule: entry.name, nominalAt: nominalAt, reason: reason, at: now)
    }
    try schedules.setPaused(false, entry.name, at: now)
    onSchedules()
    return .done(
      "schedule \(entry.name) goes on", ["schedule": .text(entry.name), "paused": .bool(false)])
  }

  private func remove(_ entry: ScheduleEntry, isForced: Bool) throws -> OperatorReply {
    let isAdded = schedules.entries.contains { other in
      if case .added = other.origin { other.name == entry.name } else { false }
    }
    guard isAdded else {
      return .refused(
        "\(entry.name) is defined by the file \(entry.file ?? "") of the schedules folder",
        remedy: "remove the file and restart the daemon, or `schedule pause \(entry.name)`")
    }
    // A file's schedule of the same name goes on to own the inbox.
    let held = entry.file == nil ? try entry.definition.map { try waiting()[$0.queue] ?? 0 } ?? 0 : 0
    guard held == 0 || isForced else {
      return .refused(
        "\(held) bundle\(held == 1 ? " waits" : "s wait") in its inbox, and nothing else would take them",
        remedy: "`schedule run-now \(entry.name)` first, or --force: they stay held until a schedule has that inbox")
    }
    let wasThere = try schedules.remove(entry.name)
    onSchedules()
    return .done(
      "schedule \(entry.name) is removed; its runs and jobs stay",
      ["schedule": .text(entry.name), "removed": .bool(wasThere), "waiting": .number(held)])
  }

  private func run(_ schedule: ScheduleDefinition, at now: Timestamp) throws -> OperatorReply {
    // What was uploaded a moment ago belongs to this run, so the inbox is read first.
    var driver = IntakeDriver(routes: InboxRoutes(schedules: schedules.inForce), store: queue, inbox: inbox)
    let summary = try driver.pass(at: now, isOver: untilPatienceEnds())
    states.note(summary.newJobs + summary.cancelledJobs)
    guard let opened = try SchedulerDriver([schedule], store: queue).runNow(schedule.name, at: now) else {
      return .refused("\(schedule.name) was run too often within this second", remedy: "try again")
    }
    try states.note(membersOf: opened.run)
    workers.pool.wake()
    let unread =
      summary.isComplete ? "" : "; the inbox was not read to its end, and what lies there may need another run"
    return .done(
      "run \(opened.run) of \(schedule.name) took \(opened.members) bundle\(opened.members == 1 ? "" : "s")\(unread)",
      [
        "schedule": .text(schedule.name), "run": .number(opened.run.rawValue), "members": .number(opened.members),
        "status": .text((opened.members == 0 ? RunStatus.completed : .running).rawValue),
        "more": .bool(!summary.isComplete),
      ])
  }
}

extension ScheduleEntry {
  /// `active`, `paused`, or `off`: not in force.
  fileprivate var stateWord: String { trouble != nil ? "off" : pausedAt != nil ? "paused" : "active" }

  fileprivate var originWord: String { file == nil ? "added" : "file" }

  fileprivate var file: String? {
    if case .file(let file) = origin { file } else { nil }
  }

  fileprivate var originSentence: String {
    switch origin {
    case .file(let file): "from the file \(file) of the schedules folder"
    case .added(let moment): "added \(moment.iso8601)"
    }
  }
}
