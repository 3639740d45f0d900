import Queue

/// What the database's verbs answer, the same whether the daemon or the command itself did the work.
enum DatabaseAnswer {
  /// - Parameter what: which file was read, for a person.
  static func checked(_ report: DatabaseReport, _ what: String) -> OperatorReply {
    let rows = report.findings.map { finding -> OperatorRow in
      [
        "severity": .text(finding.severity.rawValue), "finding": .text(finding.code), "what": .text(finding.words),
        "remedy": .text(finding.remedy),
      ]
    }
    var reply = OperatorReply.table("findings", ["severity", "finding", "what", "remedy"], rows)
    let jobs = report.jobs.map { "\($0) jobs, " } ?? ""
    reply.message =
      "\(what): \(report.isSound ? "sound" : "DAMAGED"), \(jobs)\(report.bytes) bytes, schema \"\(report.version.schema)\""
    reply.facts = facts(report)
    return reply
  }

  static func backedUp(_ backup: DatabaseBackup) -> OperatorReply {
    .done(
      "\(backup.path): checked, \(backup.report.jobs ?? 0) jobs, \(backup.report.bytes) bytes",
      facts(backup.report).merging(["path": .text(backup.path)]) { $1 })
  }

  /// - Parameters:
  ///   - version: before the migration.
  ///   - backup: nil where nothing was done.
  static func migrated(_ version: DatabaseVersion, _ backup: DatabaseBackup?, isDryRun: Bool) -> OperatorReply {
    let facts: OperatorRow = [
      "schema": .text(version.schema), "pending": .number(Int64(version.pending.count)),
      "backup": .optional(backup?.path), "dry_run": .bool(isDryRun),
    ]
    let rows = version.pending.map { name -> OperatorRow in ["migration": .text(name)] }
    var reply = OperatorReply.table("migrations", ["migration"], rows)
    reply.facts = facts
    reply.message =
      switch (version.pending.isEmpty, isDryRun) {
      case (true, _): "schema \"\(version.schema)\" is this version's: nothing to migrate"
      case (false, true): "schema \"\(version.schema)\" would be migrated, behind a backup"
      case (false, false): "migrated; what it was before is in \(backup?.path ?? "no backup")"
      }
    return reply
  }

  private static func facts(_ report: DatabaseReport) -> OperatorRow {
    [
      "sound": .bool(report.isSound), "schema": .text(report.version.schema), "bytes": .number(report.bytes),
      "jobs": report.jobs.map { .number($0) } ?? .null, "program": .optional(report.version.program),
    ]
  }

  /// How a command ends that printed this answer: 0 sound, 1 damaged, 3 warnings only.
  static func status(_ reply: OperatorReply) -> ExitStatus {
    guard reply.facts?["sound"] != .bool(false) else { return .other }
    return reply.table?.name == "findings" && reply.table?.rows.isEmpty == false ? .partial : .done
  }
}
