import GRDB
import Wire

extension SQLiteQueue {
  package func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun {
    try write { db in
      try db.execute(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at) VALUES (?, ?, ?, ?)
          ON CONFLICT (schedule, nominal_at) DO NOTHING
          """,
        arguments: [run.schedule, run.nominalAt.milliseconds, run.trigger.rawValue, now.milliseconds])
      guard db.changesCount == 1 else { return .exists }
      let id = db.lastInsertedRowID
      try db.execute(
        sql: """
          UPDATE jobs INDEXED BY jobs_held SET state = 'ready', ready_at = ?, run = ?
          WHERE state = 'held' AND lane IN (SELECT id FROM lanes WHERE queue = ?)
          """, arguments: [now.milliseconds, id, run.queue.rawValue])
      var members = Int64(db.changesCount)
      if run.takesOver {
        try db.execute(
          sql: """
            UPDATE jobs INDEXED BY jobs_run SET run = :id
            WHERE run IN (SELECT id FROM runs WHERE schedule = :schedule AND open_members > 0 AND id <> :id)
              AND state IN ('ready', 'retry_wait')
            """, arguments: ["id": id, "schedule": run.schedule])
        members += Int64(db.changesCount)
      }
      return .opened(RunID(rawValue: id), members: members)
    }
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

  package func standing(of schedule: String) throws -> ScheduleStanding {
    try read { db in
      let last = try Int64.fetchOne(
        db,
        sql: "SELECT nominal_at FROM runs WHERE schedule = ? AND cause = 'clock' ORDER BY nominal_at DESC LIMIT 1",
        arguments: [schedule])
      let hasOpenRun = try Bool.fetchOne(
        db,
        sql: "SELECT EXISTS (SELECT 1 FROM runs WHERE schedule = ? AND open_members > 0)", arguments: [schedule])
      return ScheduleStanding(lastNominalAt: SQLiteQueue.time(last), hasOpenRun: hasOpenRun ?? false)
    }
  }

  package func runs(of schedule: String, limit: Int) throws -> [Run] {
    try read { db in
      let rows = try Row.fetchAll(
        db, sql: "SELECT * FROM runs WHERE schedule = ? ORDER BY nominal_at DESC LIMIT ?",
        arguments: [schedule, max(0, limit)])
      return try rows.map { row in
        let id: Int64 = row["id"]
        var members: [JobState: Int64] = [:]
        var outcomes: [JobOutcome: Int64] = [:]
        let countSQL = "SELECT state, outcome, COUNT(*) AS jobs FROM jobs WHERE run = ? GROUP BY state, outcome"
        for count in try Row.fetchAll(db, sql: countSQL, arguments: [id]) {
          members[try SQLiteQueue.state(count["state"]), default: 0] += count["jobs"]
          if let outcome = (count["outcome"] as String?).flatMap(JobOutcome.init) { outcomes[outcome] = count["jobs"] }
        }
        guard let trigger = RunTrigger(rawValue: row["cause"]) else { throw QueueError.corrupt("run \(id)") }
        return Run(
          id: RunID(rawValue: id), schedule: schedule, nominalAt: Timestamp(milliseconds: row["nominal_at"]),
          trigger: trigger, openedAt: Timestamp(milliseconds: row["opened_at"]),
          skipped: (row["skipped"] as String?).flatMap(SkipReason.init), members: members,
          outcomes: outcomes)
      }
    }
  }
}
