import GRDB

extension SQLiteQueue {
  /// Jobs that ended last, the newest first, as far as they are among the newest rows: a page for a person, whose cost does
  /// not grow with the queue.
  package func recentlyEnded(limit: Int) throws -> [Job] {
    let sql =
      SQLiteQueue.jobSQL + """
         WHERE jobs.id > (SELECT COALESCE(MAX(id), 0) - 5000 FROM jobs) AND finished_at IS NOT NULL
        ORDER BY finished_at DESC, jobs.id DESC LIMIT ?
        """
    return try read { db in
      try Row.fetchAll(db, sql: sql, arguments: [max(0, limit)]).map(SQLiteQueue.job)
    }
  }

  /// Writes one page durably and changes nothing by it: throws where the disk is full, read-only or gone.
  package func proveWritable() throws {
    try write { db in
      let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
      // SQLite writes the header also where the number stays; GRDB's migrations do not use it.
      try db.execute(sql: "PRAGMA user_version = \(version)")
    }
  }
}
