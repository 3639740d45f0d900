import Foundation
import GRDB

/// Brings a file to this program's schema, behind a backup.
struct DatabaseMigration {
  let database: DatabaseQueue
  let path: String

  /// - Parameters:
  ///   - program: this program's version, for whoever finds the file too new.
  ///   - backups: where the backup goes; nil makes none. A database without tables has nothing to lose.
  /// - Returns: the backup that was made; nil when nothing had to be migrated.
  /// - Throws: ``QueueError/schemaTooNew(path:schema:needs:)``; ``QueueError/backupRefused(path:reason:)`` with the
  ///   database left as it was.
  func run(program: String?, backups: BackupFolder?) throws -> DatabaseBackup? {
    let version = try database.read { db in try DatabaseVersion(db) }
    guard !version.isNewer else {
      throw QueueError.schemaTooNew(path: path, schema: version.schema, needs: version.program)
    }
    guard !version.pending.isEmpty else { return nil }
    let backup = version.applied.isEmpty ? nil : try backups?.add(database)
    try QueueSchema.migrator.migrate(database)
    try database.write { db in
      try DatabaseMeta.set(.migratedBy, program, in: db)
      guard try DatabaseMeta.value(.id, in: db) == nil else { return }
      try DatabaseMeta.set(.id, UUID().uuidString.replacing("-", with: "").lowercased(), in: db)
    }
    return backup
  }
}
