import GRDB

// Copies are made in steps on the daemon's own connection, so that a heartbeat waits for a few pages and never for a whole
// database; what takes long, checking, is done on the copy.

extension SQLiteQueue: DatabaseSource {
  func access<Value>(_ body: (Database) throws -> Value) throws -> Value { try read(body) }

  /// Copies the database to a new file at `path`, checks it and makes it durable, while the queue works on.
  ///
  /// - Throws: ``QueueError/backupRefused(path:reason:)``, with nothing left behind.
  package func backUp(to path: String) throws -> DatabaseBackup { try DatabaseBackup.write(of: self, to: path) }

  /// ``backUp(to:)`` under a name made of the time; older ones over the folder's number are removed.
  package func backUp(into folder: BackupFolder) throws -> DatabaseBackup { try folder.add(self) }

  /// Checks a copy that is made for it beside the database and removed again.
  package func check() throws -> DatabaseReport { try DatabaseBackup.check(self, near: path) }

  /// Which schema the database has.
  package func version() throws -> DatabaseVersion { try read { db in try DatabaseVersion(db) } }

  /// ``Attempt/owner`` of what stands for attempts of a database that was lost.
  package static var restoredOwner: String { "(restored)" }
}
