import GRDB
import Wire

extension SQLiteQueue: RetentionStore {
  package func ended(
    _ state: JobState, before end: Timestamp, isCleared: Bool, after cursor: EndedCursor?, limit: Int
  ) throws -> [Job] {
    guard state.isTerminal else { return [] }
    // The conditions of the partial indexes, word for word.
    let sql = """
      \(SQLiteQueue.jobSQL)
      WHERE jobs.state = ? AND jobs.finished_at IS NOT NULL
        AND jobs.inbox_cleared_at IS \(isCleared ? "NOT NULL" : "NULL")
        AND jobs.finished_at < ? AND (jobs.finished_at, jobs.id) > (?, ?)
      ORDER BY jobs.finished_at, jobs.id LIMIT ?
      """
    return try read { db in
      try Row.fetchAll(
        db, sql: sql,
        arguments: [
          state.rawValue, end.milliseconds, cursor?.finishedAt.milliseconds ?? Int64.min, cursor?.row ?? 0,
          max(0, limit),
        ]
      ).map(SQLiteQueue.job)
    }
  }

  package func markCleared(_ jobs: [JobName], in state: JobState, at now: Timestamp) throws -> [JobName] {
    guard !jobs.isEmpty, state.isTerminal else { return [] }
    return try write { db in
      let mark = try db.cachedStatement(
        sql: """
          UPDATE jobs SET inbox_cleared_at = COALESCE(inbox_cleared_at, ?) WHERE name = ? AND state = ?
          """)
      return try jobs.filter { job in
        try mark.execute(arguments: [now.milliseconds, job.blob, state.rawValue])
        return db.changesCount == 1
      }
    }
  }

  package func prune(_ jobs: [JobName]) throws -> Int {
    guard !jobs.isEmpty else { return 0 }
    return try write { db in
      let delete = try db.cachedStatement(
        sql: """
          DELETE FROM jobs
          WHERE name = ? AND inbox_cleared_at IS NOT NULL AND state IN ('finished', 'cancelled', 'dead')
          """)
      return try jobs.reduce(0) { count, job in
        try delete.execute(arguments: [job.blob])
        return count + db.changesCount
      }
    }
  }

  package func idleCancels(before end: Timestamp, limit: Int) throws -> [RecordedCancel] {
    try read { db in
      let sql = """
        SELECT statement, job, recorded_at FROM cancels
        WHERE recorded_at < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.name = cancels.job)
        ORDER BY recorded_at LIMIT ?
        """
      return try Row.fetchAll(db, sql: sql, arguments: [end.milliseconds, max(0, limit)]).map { row in
        RecordedCancel(
          statement: try SQLiteQueue.digest(row["statement"]), job: try SQLiteQueue.digest(row["job"]),
          recordedAt: Timestamp(milliseconds: row["recorded_at"]))
      }
    }
  }

  package func forgetCancels(_ cancels: [RecordedCancel]) throws {
    guard !cancels.isEmpty else { return }
    try write { db in
      for cancel in cancels {
        try db.cachedStatement(sql: "INSERT INTO pruned (name, ended_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
          .execute(arguments: [cancel.job.blob, cancel.recordedAt.milliseconds])
        try db.cachedStatement(sql: "DELETE FROM cancels WHERE statement = ?")
          .execute(arguments: [cancel.statement.blob])
      }
    }
  }

  package func pruneRecords(before end: Timestamp, limit: Int) throws -> Int {
    let statements = [
      // A schedule's newest nominal time is what it goes on from.
      """
      DELETE FROM runs WHERE id IN (
        SELECT id FROM runs AS old
        WHERE opened_at < :end AND open_members = 0 AND filling IS NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.run = old.id)
          AND EXISTS (SELECT 1 FROM runs AS newer WHERE newer.schedule = old.schedule
            AND newer.nominal_at > old.nominal_at AND newer.cause = 'clock')
        ORDER BY opened_at LIMIT :limit)
      """,
      """
      DELETE FROM pruned WHERE name IN (SELECT name FROM pruned WHERE ended_at < :end ORDER BY ended_at LIMIT :limit)
      """,
    ]
    return try write { db in
      var count = 0
      for sql in statements {
        try db.cachedStatement(sql: sql).execute(arguments: ["end": end.milliseconds, "limit": max(0, limit)])
        count += db.changesCount
      }
      return try count + pruneEmptyQueues(limit: limit, in: db)
    }
  }

  /// Lanes without jobs, then queues without lanes. A lane that comes back stands at the end of the line like any new
  /// one; a paused queue stays, since somebody paused it.
  private func pruneEmptyQueues(limit: Int, in db: Database) throws -> Int {
    try db.execute(
      sql: """
        DELETE FROM lanes WHERE id IN (
          SELECT lanes.id FROM lanes WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.lane = lanes.id) LIMIT ?)
        """, arguments: [max(0, limit)])
    let lanes = db.changesCount
    try db.execute(
      sql: """
        DELETE FROM queues WHERE name IN (
          SELECT name FROM queues WHERE paused_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM lanes WHERE lanes.queue = queues.name) LIMIT ?)
        """, arguments: [max(0, limit)])
    return lanes + db.changesCount
  }

  package func retryAllDead(queue: QueueName?, limit: Int, at now: Timestamp) throws -> [JobName] {
    let sql = """
      SELECT jobs.name FROM jobs JOIN lanes ON lanes.id = jobs.lane
      WHERE jobs.state = 'dead' AND jobs.inbox_cleared_at IS NULL
        \(queue == nil ? "" : "AND lanes.queue = ?") ORDER BY jobs.id LIMIT ?
      """
    return try write { db in
      var arguments = StatementArguments(queue.map { [$0.rawValue] } ?? [])
      arguments += [max(0, limit)]
      let names = try Row.fetchAll(db, sql: sql, arguments: arguments).map { try SQLiteQueue.digest($0["name"]) }
      for name in names { try revive(name, at: now, in: db) }
      return names
    }
  }
}
