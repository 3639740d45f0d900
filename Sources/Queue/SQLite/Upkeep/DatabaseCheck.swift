import GRDB

/// Reads a whole database and says what is wrong with it: SQLite's own checks, then what this program promises of its rows.
struct DatabaseCheck {
  let db: Database

  /// - Throws: only what makes any reading impossible.
  func report() throws -> DatabaseReport {
    let version = try DatabaseVersion(db)
    var findings = try integrity() + versionFindings(version)
    // Rows of an unknown schema cannot be judged, and those of a damaged file would only repeat it.
    if findings.allSatisfy({ $0.severity == .warning }), version.applied.contains("1 jobs") {
      findings += try rows()
      if version.applied.contains("2 retention") { findings += try counters() }
    }
    let bytes = try db.pageBytes()
    return DatabaseReport(
      version: version, bytes: bytes, jobs: try? Int64.fetchOne(db, sql: "SELECT COUNT(*) FROM jobs"),
      findings: findings.filter { $0.severity == .damage } + findings.filter { $0.severity == .warning })
  }

  // MARK: SQLite's own

  private static let faultsShown = 20
  private static let restore =
    "stop the daemon and restore a backup, or begin a new database: docs/operations/recovery.md"

  private func integrity() throws -> [DatabaseFinding] {
    let words = try String.fetchAll(db, sql: "PRAGMA integrity_check(\(Self.faultsShown))").filter { $0 != "ok" }
    let dangling = try Row.fetchCursor(db, sql: "PRAGMA foreign_key_check").map { row -> String in
      "table \(row["table"] as String? ?? "?") row \(row["rowid"] as Int64? ?? 0) names a missing row of "
        + "\(row["parent"] as String? ?? "?")"
    }
    return words.map { DatabaseFinding(severity: .damage, code: "integrity", words: $0, remedy: Self.restore) }
      + (try Array(dangling.prefix(Self.faultsShown))).map {
        DatabaseFinding(severity: .damage, code: "reference", words: $0, remedy: Self.restore)
      }
  }

  private func versionFindings(_ version: DatabaseVersion) throws -> [DatabaseFinding] {
    if version.isNewer {
      return [
        DatabaseFinding(
          severity: .damage, code: "newer schema",
          words:
            "schema \"\(version.schema)\" is from \(version.program.map { "ephemeral \($0)" } ?? "a newer version")",
          remedy: "use that version or a later one; this one does not touch the file")
      ]
    }
    if !version.pending.isEmpty {
      return [
        DatabaseFinding(
          severity: .warning, code: "older schema",
          words: "schema \"\(version.schema)\"; this version would add \(version.pending.joined(separator: ", "))",
          remedy: "`ephemeral db migrate`, or start the daemon: both make a backup first")
      ]
    }
    guard try QueueSchema.migrator.hasSchemaChanges(db) else { return [] }
    return [
      DatabaseFinding(
        severity: .damage, code: "schema",
        words: "tables, indexes or triggers are not those that this program makes", remedy: Self.restore)
    ]
  }

  // MARK: The program's own

  private func rows() throws -> [DatabaseFinding] {
    try Self.rules.compactMap { rule in
      let names = try Row.fetchCursor(db, sql: rule.sql)
      var examples: [String] = []
      var count = 0
      while let row = try names.next() {
        count += 1
        if examples.count < 3 { examples.append(try SQLiteQueue.digest(row["name"]).hex.prefix(16) + "…") }
      }
      guard count > 0 else { return nil }
      return DatabaseFinding(
        severity: .damage, code: rule.code,
        words: "\(count) job\(count == 1 ? "" : "s") \(rule.words): \(examples.joined(separator: ", "))",
        remedy: Self.restore)
    }
  }

  private func counters() throws -> [DatabaseFinding] {
    try SQLiteQueue.counterFaults(db).prefix(Self.faultsShown).map {
      DatabaseFinding(severity: .damage, code: "counter", words: $0, remedy: Self.restore)
    }
  }

  /// What must hold between rows, and the schema cannot say: each query finds the jobs for which it does not.
  private static let rules: [(code: String, words: String, sql: String)] = [
    (
      "lease without history", "run under an attempt that the history does not have open",
      """
      SELECT name FROM jobs WHERE state = 'running' AND NOT EXISTS (
        SELECT 1 FROM attempts WHERE job = jobs.id AND number = jobs.attempt AND ended_at IS NULL)
      """
    ),
    (
      "open history", "have an attempt that never ended, and do not run under it",
      """
      SELECT name FROM attempts JOIN jobs ON jobs.id = job
      WHERE ended_at IS NULL AND (state <> 'running' OR number <> attempt)
      """
    ),
    (
      "history ahead", "have attempts in their history that were never counted",
      "SELECT DISTINCT name FROM attempts JOIN jobs ON jobs.id = job WHERE number > attempt"
    ),
    (
      "history behind", "count an attempt that their history does not have",
      // A commit that was found in the store raises the count; its attempt belongs to another history.
      """
      SELECT name FROM jobs WHERE attempt > 0 AND commit_attempt IS NOT attempt
        AND NOT EXISTS (SELECT 1 FROM attempts WHERE job = jobs.id AND number = jobs.attempt)
      """
    ),
    (
      "gap in history", "lack attempts within their history",
      """
      SELECT DISTINCT name FROM (
        SELECT job, number, owner, LAG(number, 1, 0) OVER (PARTITION BY job ORDER BY number) AS previous FROM attempts
      ) history JOIN jobs ON jobs.id = job
      WHERE number > previous + 1 AND history.owner <> '\(SQLiteQueue.restoredOwner)'
        -- Of a long history the middle is dropped.
        AND NOT (previous >= \(QueueLimits.oldestAttempts)
          AND attempt > \(QueueLimits.oldestAttempts + QueueLimits.newestAttempts))
      """
    ),
    (
      "skipped run", "belong to a run that was passed over",
      "SELECT name FROM jobs JOIN runs ON runs.id = run WHERE skipped IS NOT NULL"
    ),
  ]
}

extension Database {
  /// The size of the database in bytes, without its log.
  func pageBytes() throws -> Int64 {
    let pages = try Int64.fetchOne(self, sql: "PRAGMA page_count") ?? 0
    return pages * (try Int64.fetchOne(self, sql: "PRAGMA page_size") ?? 4096)
  }
}
