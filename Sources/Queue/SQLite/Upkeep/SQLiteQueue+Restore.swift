import GRDB
import Wire

// A database that was lost, or put back from a copy, knows less than the store. What is adopted here was true before: a
// commit ends a job, attempts are counted on, runs took place. Every call is harmless when it is made again.

extension SQLiteQueue {
  package func standing() throws -> DatabaseStanding {
    try read { db in
      guard let id = try DatabaseMeta.value(.id, in: db) else { throw QueueError.corrupt("it has no id") }
      return DatabaseStanding(
        id: id, mark: try DatabaseMeta.value(.mark, in: db).flatMap(Int64.init) ?? 0,
        isEmpty: try Bool.fetchOne(db, sql: "SELECT NOT EXISTS (SELECT 1 FROM jobs)") ?? true,
        restoredThrough: try DatabaseMeta.value(.restoredThrough, in: db))
    }
  }

  /// Moves the mark on, which copies that were made before lack.
  /// - Returns: the mark.
  package func moveMark() throws -> Int64 {
    try write { db in
      let mark = (try DatabaseMeta.value(.mark, in: db).flatMap(Int64.init) ?? 0) + 1
      try DatabaseMeta.set(.mark, "\(mark)", in: db)
      return mark
    }
  }

  /// Notes that a restore is under way, with the last key of the store that is done; nil when it has ended.
  package func noteRestore(through key: String?) throws {
    try write { db in try DatabaseMeta.set(.restoredThrough, key, in: db) }
  }

  /// Which of these jobs the queue has, and does not know to be finished.
  package func unfinished(among names: [JobName]) throws -> [JobName] {
    try read { db in
      let find = try db.cachedStatement(sql: "SELECT 1 FROM jobs WHERE name = ? AND state <> 'finished'")
      return try names.filter { try Int.fetchOne(find, arguments: [$0.blob]) != nil }
    }
  }

  /// Brings jobs to where the store says they are, and notes how far that has come, in one step.
  ///
  /// - Parameter key: nil leaves the note as it is.
  package func restore(_ jobs: [StoredJob], through key: String?, at now: Timestamp) throws -> RestoreCounts {
    try write { db in
      var counts = RestoreCounts()
      for job in jobs { try restore(job, at: now, in: db, &counts) }
      if let key { try DatabaseMeta.set(.restoredThrough, key, in: db) }
      return counts
    }
  }

  private func restore(_ job: StoredJob, at now: Timestamp, in db: Database, _ counts: inout RestoreCounts) throws {
    guard let (state, attempt) = try stateAndAttempt(of: job.name, in: db), state != .finished else { return }
    if let commit = job.commit {
      if try adopt(commit, of: job.name, at: now, in: db) { counts.adopted += 1 }
      return
    }
    if job.state == .cancelled, !state.isTerminal {
      _ = try applyCancel(to: job.name, at: now, in: db)
      counts.cancelled += 1
      return
    }
    if state == .held, job.lastAttempt > 0 || [.ready, .running, .retryWait].contains(job.state) {
      try db.execute(
        sql: "UPDATE jobs SET state = 'ready', ready_at = ? WHERE name = ? AND state = 'held'",
        arguments: [now.milliseconds, job.name.blob])
      counts.released += 1
    }
    guard job.lastAttempt > attempt else { return }
    if try raiseAttempts(of: job.name, to: job.lastAttempt, at: now, in: db) { counts.raised += 1 }
  }

  package func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp) throws -> Bool {
    try write { db in
      try raiseAttempts(of: job, to: min(number, StoredJob.attemptLimit), at: now, in: db)
    }
  }

  /// One line of the history stands for all that are skipped.
  private func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp, in db: Database) throws -> Bool {
    let id = try Int64.fetchOne(
      db,
      sql: """
        UPDATE jobs SET attempt = :number
        WHERE name = :name AND attempt < :number AND state IN ('ready', 'retry_wait', 'dead', 'cancelled') RETURNING id
        """, arguments: ["number": number, "name": job.blob])
    guard let id else { return false }
    try db.execute(
      sql: """
        INSERT INTO attempts (job, number, owner, started_at, ended_at, ending, detail)
        VALUES (:job, :number, :owner, :now, :now, 'superseded', :detail)
        """,
      arguments: [
        "job": id, "number": number, "owner": SQLiteQueue.restoredOwner, "now": now.milliseconds,
        "detail": "attempts up to this one were made under a database that was lost",
      ])
    return true
  }

  // MARK: Runs

  /// Runs (and nominal times that were passed over) of which the store has no record yet, the oldest first.
  package func unrecordedRuns(limit: Int) throws -> [(id: RunID, run: NotedRun)] {
    try read { db in
      let last = try DatabaseMeta.value(.runsRecorded, in: db).flatMap(Int64.init) ?? 0
      return try Row.fetchAll(
        db, sql: "SELECT * FROM runs WHERE id > ? ORDER BY id LIMIT ?", arguments: [last, max(0, limit)]
      ).map { row in
        guard let trigger = RunTrigger(rawValue: row["cause"]) else { throw QueueError.corrupt("a run's cause") }
        let run = NotedRun(
          schedule: row["schedule"], nominalAt: Timestamp(milliseconds: row["nominal_at"]), trigger: trigger,
          openedAt: Timestamp(milliseconds: row["opened_at"]),
          skipped: (row["skipped"] as String?).flatMap(SkipReason.init))
        return (RunID(rawValue: row["id"]), run)
      }
    }
  }

  /// The store has a record of every run up to this one.
  package func noteRunsRecorded(through run: RunID) throws {
    try write { db in try DatabaseMeta.set(.runsRecorded, "\(run.rawValue)", in: db) }
  }

  /// Adds runs that took place under another database, without members.
  /// - Returns: how many were not known.
  package func adoptRuns(_ runs: [NotedRun]) throws -> Int {
    try write { db in
      let insert = try db.cachedStatement(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at, skipped, has_unknown)
          VALUES (:schedule, :nominal, :cause, :opened, :skipped, :skipped IS NULL)
          ON CONFLICT (schedule, nominal_at) DO NOTHING
          """)
      return try runs.reduce(into: 0) { count, run in
        try insert.execute(arguments: [
          "schedule": run.schedule, "nominal": run.nominalAt.milliseconds, "cause": run.trigger.rawValue,
          "opened": run.openedAt.milliseconds, "skipped": run.skipped?.rawValue,
        ])
        count += db.changesCount
      }
    }
  }

  // MARK: What operators set

  package func settings() throws -> QueueSettings {
    let schedules = try savedSchedules()
    return try read { db in
      var paused: [QueueName: Timestamp] = [:]
      for row in try Row.fetchAll(db, sql: "SELECT name, paused_at FROM queues WHERE paused_at IS NOT NULL") {
        paused[try SQLiteQueue.queueName(row["name"])] = Timestamp(milliseconds: row["paused_at"])
      }
      return QueueSettings(pausedQueues: paused, schedules: schedules)
    }
  }

  /// Puts these in the place of what the database has.
  package func adopt(_ settings: QueueSettings) throws {
    try write { db in
      try db.execute(sql: "UPDATE queues SET paused_at = NULL; DELETE FROM schedules")
      for (queue, moment) in settings.pausedQueues {
        try db.execute(
          sql:
            "INSERT INTO queues (name, paused_at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at",
          arguments: [queue.rawValue, moment.milliseconds])
      }
      for schedule in settings.schedules {
        try db.execute(
          sql: "INSERT INTO schedules (name, definition, added_at, paused_at) VALUES (?, ?, ?, ?)",
          arguments: [
            schedule.name, schedule.text, schedule.addedAt?.milliseconds, schedule.pausedAt?.milliseconds,
          ])
      }
    }
  }
}
