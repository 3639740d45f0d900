import GRDB

/// The queue's file while no daemon runs: what an operator may do with it then. It is open, and locked, as long as this
/// lives.
package final class StoppedDatabase {
  private let database: DatabaseQueue
  private let path: String

  /// - Throws: ``QueueError/missing(path:)``, ``QueueError/alreadyOpen(path:)``, ``QueueError/corrupt(_:)``
  package init(path: String) throws {
    self.path = path
    database = try DatabaseFile.open(path, create: false)
  }

  /// Closes the file, which leaves one file without a log beside it.
  package func close() throws { try DatabaseFile.translating { try database.close() } }

  /// Checks the file in place.
  package func check() throws -> DatabaseReport {
    try DatabaseFile.translating { try database.read { db in try DatabaseCheck(db: db).report() } }
  }

  /// ``SQLiteQueue/backUp(to:)``
  package func backUp(to path: String) throws -> DatabaseBackup { try DatabaseBackup.write(of: database, to: path) }

  /// ``SQLiteQueue/backUp(into:)``
  package func backUp(into folder: BackupFolder) throws -> DatabaseBackup { try folder.add(database) }

  /// What ``migrate(program:backups:)`` would do.
  package func version() throws -> DatabaseVersion {
    try DatabaseFile.translating { try database.read { db in try DatabaseVersion(db) } }
  }

  /// Makes a backup, then the missing migrations.
  ///
  /// - Parameter program: this program's version.
  /// - Returns: the backup; nil when nothing was missing.
  package func migrate(program: String, backups: BackupFolder) throws -> DatabaseBackup? {
    try DatabaseFile.translating {
      try DatabaseMigration(database: database, path: path).run(program: program, backups: backups)
    }
  }

  /// Checks a file that is nobody's queue (a backup), and leaves its bytes alone as far as SQLite does.
  package static func check(backup path: String) throws -> DatabaseReport {
    var configuration = Configuration()
    configuration.readonly = true
    return try DatabaseFile.translating(path) {
      let copy = try DatabaseQueue(path: path, configuration: configuration)
      let report = try copy.read { db in try DatabaseCheck(db: db).report() }
      try copy.close()
      return report
    }
  }
}
