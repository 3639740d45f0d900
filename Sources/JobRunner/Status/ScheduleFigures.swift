import Queue

/// A schedule's line on the status page, from the queue's records.
enum ScheduleFigures {
  /// Runs that are looked through for the last success.
  private static let runLimit = 20

  static func line(_ entry: ScheduleEntry, _ queue: any QueueStore, at now: Timestamp) throws -> ScheduleLine {
    let runs = try queue.runs(of: entry.name, limit: runLimit)
    // Not simply the next one from now on: a nominal time that passed without a run must stay in sight.
    let last = try queue.standing(of: entry.name, at: now).lastNominalAt ?? now
    let isDue = entry.pausedAt == nil && entry.trouble == nil
    return ScheduleLine(
      schedule: entry.name, summary: entry.trouble.map { "not in force: \($0)" } ?? entry.definition?.summary,
      queue: entry.definition?.queue.rawValue ?? "", isPaused: entry.pausedAt != nil,
      nextMs: isDue ? entry.definition?.calendar?.next(after: last)?.milliseconds : nil,
      lastRun: runs.first { $0.skipped != .added }.map(run),
      lastSuccessMs: runs.first { $0.status == .completed }?.nominalAt.milliseconds)
  }

  private static func run(_ run: Run) -> RunLine {
    let members = run.members.values.reduce(0, +)
    let status =
      switch run.status {
      case .skipped: "skipped: \(run.skipped?.rawValue ?? "")"
      case .completed where members == 0: "no bundle"
      case .unknown where members == 0: "not on record"
      case let status: status.rawValue
      }
    return RunLine(nominalMs: run.nominalAt.milliseconds, status: status, members: members)
  }
}
