import GRDB
import Wire

extension SQLiteQueue {
  package func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun {
    // What an earlier run has not taken yet is that run's.
    _ = try fillRuns()
    let first = try write { db -> (id: Int64, step: RunStep)? in
      try db.execute(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at, filling, filling_through, takes_over)
          VALUES (:schedule, :nominal, :cause, :now, :queue, COALESCE(
            (SELECT MAX(id) FROM jobs INDEXED BY jobs_held
             WHERE state = 'held' AND lane IN (SELECT id FROM lanes WHERE queue = :queue)), 0), :takesOver)
          ON CONFLICT (schedule, nominal_at) DO NOTHING
          """,
        arguments: [
          "schedule": run.schedule, "nominal": run.nominalAt.milliseconds, "cause": run.trigger.rawValue,
          "now": now.milliseconds, "queue": run.queue.rawValue, "takesOver": run.takesOver,
        ])
      guard db.changesCount == 1 else { return nil }
      let id = db.lastInsertedRowID
      // One transaction for most runs.
      return (id, try fill(id, in: db))
    }
    guard let (id, step) = first else { return .exists }
    return .opened(RunID(rawValue: id), members: step.members + (step.isLast ? 0 : try fill(id)))
  }

  package func fillRuns() throws -> [RunID] {
    let runs = try read { db in
      try Int64.fetchAll(db, sql: "SELECT id FROM runs WHERE filling IS NOT NULL ORDER BY id")
    }
    for run in runs { _ = try fill(run) }
    return runs.map { RunID(rawValue: $0) }
  }

  /// A part of a run's members.
  private struct RunStep {
    var members: Int64
    /// Whether it has all of them now.
    var isLast: Bool
  }

  /// Takes the rest of a run's members, a transaction for each step, so that claims and heartbeats come in between.
  /// - Returns: their number.
  private func fill(_ run: Int64) throws -> Int64 {
    var members: Int64 = 0
    while true {
      let step = try write { db in try fill(run, in: db) }
      members += step.members
      if step.isLast { return members }
    }
  }

  private func fill(_ run: Int64, in db: Database) throws -> RunStep {
    let take = try db.cachedStatement(
      sql: """
        UPDATE jobs SET state = 'ready', ready_at = (SELECT opened_at FROM runs WHERE id = :run), run = :run
        WHERE id IN (
          SELECT jobs.id FROM runs JOIN lanes ON lanes.queue = runs.filling
            JOIN jobs INDEXED BY jobs_held ON jobs.lane = lanes.id
          WHERE runs.id = :run AND jobs.state = 'held' AND jobs.id <= runs.filling_through LIMIT :limit)
        """)
    try take.execute(arguments: ["run": run, "limit": membersPerStep])
    var taken = db.changesCount
    if taken < membersPerStep {
      let takeOver = try db.cachedStatement(
        sql: """
          UPDATE jobs SET run = :run
          WHERE id IN (
            SELECT jobs.id FROM runs JOIN runs AS earlier INDEXED BY runs_open ON earlier.schedule = runs.schedule
              JOIN jobs INDEXED BY jobs_run ON jobs.run = earlier.id
            WHERE runs.id = :run AND runs.filling IS NOT NULL AND runs.takes_over = 1
              AND earlier.open_members > 0 AND earlier.id < runs.id
              AND jobs.run IS NOT NULL AND jobs.state IN ('ready', 'retry_wait') LIMIT :limit)
          """)
      try takeOver.execute(arguments: ["run": run, "limit": membersPerStep - taken])
      taken += db.changesCount
    }
    let isLast = taken < membersPerStep
    if isLast {
      try db.cachedStatement(sql: "UPDATE runs SET filling = NULL, filling_through = NULL WHERE id = ?")
        .execute(arguments: [run])
    }
    return RunStep(members: Int64(taken), isLast: isLast)
  }

  package func skipRun(schedule: String, nominalAt: Timestamp, reason: SkipReason, at now: Timestamp) throws {
    try write { db in
      try db.execute(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at, skipped) VALUES (?, ?, 'clock', ?, ?)
          ON CONFLICT (schedule, nominal_at) DO NOTHING
          """, arguments: [schedule, nominalAt.milliseconds, now.milliseconds, reason.rawValue])
    }
  }

  package func standing(of schedule: String, at now: Timestamp) throws -> ScheduleStanding {
    try read { db in
      let last = try Int64.fetchOne(
        db,
        sql: """
          SELECT nominal_at FROM runs WHERE schedule = ? AND cause = 'clock' AND nominal_at <= ?
          ORDER BY nominal_at DESC LIMIT 1
          """, arguments: [schedule, (now + ScheduleStanding.strayAfter).milliseconds])
      let hasOpenRun = try Bool.fetchOne(
        db,
        sql: """
          SELECT EXISTS (SELECT 1 FROM runs INDEXED BY runs_open WHERE schedule = :schedule AND open_members > 0)
            OR EXISTS (SELECT 1 FROM runs INDEXED BY runs_filling WHERE schedule = :schedule AND filling IS NOT NULL)
          """, arguments: ["schedule": schedule])
      return ScheduleStanding(lastNominalAt: SQLiteQueue.time(last), hasOpenRun: hasOpenRun ?? false)
    }
  }

  package func clockRuns(of schedule: String, after moment: Timestamp) throws -> [RunID: Timestamp] {
    try read { db in
      let rows = try Row.fetchAll(
        db,
        sql: """
          SELECT id, nominal_at FROM runs WHERE schedule = ? AND nominal_at > ? AND cause = 'clock' LIMIT 1000
          """, arguments: [schedule, moment.milliseconds])
      return Dictionary(
        uniqueKeysWithValues: rows.map {
          (RunID(rawValue: $0["id"]), Timestamp(milliseconds: $0["nominal_at"]))
        })
    }
  }

  package func setAside(_ runs: [RunID]) throws {
    try write { db in
      // The same night may have been named wrongly before: the next moment of its minute that is free.
      let move = try db.cachedStatement(
        sql: """
          UPDATE OR IGNORE runs SET cause = 'operator', nominal_at =
            (SELECT MAX(taken.nominal_at) + 1 FROM runs AS taken
             WHERE taken.schedule = runs.schedule
               AND taken.nominal_at BETWEEN runs.nominal_at AND runs.nominal_at + 59999)
          WHERE id = ? AND cause = 'clock'
          """)
      for run in runs { try move.execute(arguments: [run.rawValue]) }
    }
  }

  package func runs(of schedule: String, limit: Int) throws -> [Run] {
    try read { db in
      try Row.fetchAll(
        db, sql: "SELECT * FROM runs WHERE schedule = ? ORDER BY nominal_at DESC LIMIT ?",
        arguments: [schedule, max(0, limit)]
      ).map { try run($0, in: db) }
    }
  }

  package func run(_ id: RunID) throws -> Run? {
    try read { db in
      try Row.fetchOne(db, sql: "SELECT * FROM runs WHERE id = ?", arguments: [id.rawValue]).map { try run($0, in: db) }
    }
  }

  private func run(_ row: Row, in db: Database) throws -> Run {
    let id: Int64 = row["id"]
    var members: [JobState: Int64] = [:]
    var outcomes: [JobOutcome: Int64] = [:]
    let counts = try db.cachedStatement(
      sql: """
        SELECT state, outcome, COUNT(*) AS jobs FROM jobs WHERE run = :run GROUP BY state, outcome
        UNION ALL SELECT state, outcome, jobs FROM run_pruned WHERE run = :run
        """)
    for count in try Row.fetchAll(counts, arguments: ["run": id]) {
      members[try SQLiteQueue.state(count["state"]), default: 0] += count["jobs"]
      if let outcome = (count["outcome"] as String?).flatMap(JobOutcome.init) {
        outcomes[outcome, default: 0] += count["jobs"]
      }
    }
    guard let trigger = RunTrigger(rawValue: row["cause"]) else { throw QueueError.corrupt("run \(id)") }
    return Run(
      id: RunID(rawValue: id), schedule: row["schedule"], nominalAt: Timestamp(milliseconds: row["nominal_at"]),
      trigger: trigger, openedAt: Timestamp(milliseconds: row["opened_at"]),
      skipped: (row["skipped"] as String?).flatMap(SkipReason.init), members: members, outcomes: outcomes,
      isFilling: (row["filling"] as String?) != nil, hasUnknownMembers: row["has_unknown"])
  }
}
