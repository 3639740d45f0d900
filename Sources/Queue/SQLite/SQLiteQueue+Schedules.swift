import GRDB

extension SQLiteQueue: ScheduleStore {
  package func savedSchedules() throws -> [SavedSchedule] {
    try read { db in
      try Row.fetchAll(db, sql: "SELECT name, definition, added_at, paused_at FROM schedules ORDER BY name").map {
        row in
        SavedSchedule(
          name: row["name"], text: row["definition"], addedAt: SQLiteQueue.time(row["added_at"]),
          pausedAt: SQLiteQueue.time(row["paused_at"]))
      }
    }
  }

  package func saveSchedule(_ name: String, text: String, countsAnew: Bool, at now: Timestamp) throws {
    try write { db in
      try db.execute(
        sql: """
          INSERT INTO schedules (name, definition, added_at) VALUES (?, ?, ?)
          ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, added_at = excluded.added_at
          """, arguments: [name, text, now.milliseconds])
      guard countsAnew else { return }
      try db.execute(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at, skipped) VALUES (:name, :now, 'clock', :now, :reason)
          ON CONFLICT (schedule, nominal_at) DO NOTHING
          """, arguments: ["name": name, "now": now.milliseconds, "reason": SkipReason.added.rawValue])
    }
  }

  package func removeSchedule(_ name: String) throws {
    try write { db in try db.execute(sql: "DELETE FROM schedules WHERE name = ?", arguments: [name]) }
  }

  package func setPaused(_ isPaused: Bool, schedule name: String, at now: Timestamp) throws {
    try write { db in
      if isPaused {
        try db.execute(
          sql: """
            INSERT INTO schedules (name, paused_at) VALUES (:name, :now)
            ON CONFLICT (name) DO UPDATE SET paused_at = COALESCE(paused_at, :now)
            """, arguments: ["name": name, "now": now.milliseconds])
      } else {
        try db.execute(sql: "DELETE FROM schedules WHERE name = ? AND definition IS NULL", arguments: [name])
        try db.execute(sql: "UPDATE schedules SET paused_at = NULL WHERE name = ?", arguments: [name])
      }
    }
  }
}
