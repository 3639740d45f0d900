import Foundation
import Logging
import Queue

/// The folder of the queue's database and of the sockets, for the daemon's user alone.
enum StateFolder {
  static let database = "queue.sqlite"

  /// The operator's socket, unless it was set to be elsewhere.
  static func socket(_ folder: String) -> String { folder + "/daemon.sock" }

  /// A path as the daemon and its commands keep it, whatever folder they were started in.
  static func absolute(_ path: String) -> String { URL(filePath: path).standardizedFileURL.path }

  /// Where a database goes before it is migrated; the newest five stay.
  static func migrationBackups(_ folder: String) -> BackupFolder {
    BackupFolder(path: folder + "/backups", kind: .beforeMigration, keep: 5)
  }

  /// Makes the folder with mode 0700, and takes others' permissions from one that is the daemon's already.
  ///
  /// - Throws: ``CannotStart`` for a folder that others may enter and that holds something else: to close that could
  ///   lock somebody out.
  static func prepare(_ path: String, _ log: Logger) throws {
    let manager = FileManager.default
    try manager.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let mode = try manager.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    guard let mode, mode.intValue & 0o077 != 0 else { return }
    let names = try manager.contentsOfDirectory(atPath: path)
    guard names.isEmpty || names.contains(database) else {
      throw CannotStart(
        "the state folder \(path) is open to others and holds other files: name a folder of its own, or chmod 700 it")
    }
    try manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
    log.warning("the state folder was open to others; it has mode 0700 now", metadata: ["folder": "\(path)"])
  }
}
