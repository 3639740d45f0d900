import Foundation
import GRDB
import Glibc

/// A backup: one file, checked and durable before it has its name, readable by its owner alone.
package struct DatabaseBackup: Hashable, Sendable {
  package let path: String
  package let report: DatabaseReport

  /// Copies `source` to a new file at `path`, while its owner goes on working.
  ///
  /// - Throws: ``QueueError/backupRefused(path:reason:)`` with nothing left behind: the file exists, the disk is too
  ///   small, the folder cannot be written, or the copy does not stand the check.
  static func write(of source: some DatabaseSource, to path: String) throws -> DatabaseBackup {
    var standing = stat()
    guard lstat(path, &standing) != 0 else { throw refused(path, "it exists already, and no backup is overwritten") }
    return try inScratch(of: source, near: path) { scratch, report in
      if let fault = report.findings.first(where: { $0.severity == .damage }) {
        throw refused(path, "the database itself is not sound (\(fault.words)); `ephemeral db check` says more")
      }
      try sync(scratch, path)
      try place(scratch, path)
      try sync((path as NSString).deletingLastPathComponent, path)
      return DatabaseBackup(path: path, report: report)
    }
  }

  /// Copies `source` beside `path`, checks the copy and removes it again: a check that holds nobody up.
  static func check(_ source: some DatabaseSource, near path: String) throws -> DatabaseReport {
    try inScratch(of: source, near: path) { _, report in report }
  }

  private static func inScratch<Value>(
    of source: some DatabaseSource, near path: String, _ body: (String, DatabaseReport) throws -> Value
  ) throws -> Value {
    let folder = (path as NSString).deletingLastPathComponent
    let scratch =
      folder + "/.\((path as NSString).lastPathComponent).\(getpid())-\(UInt32.random(in: 0 ... .max)).partial"
    try expectRoom(in: folder, bytes: try source.access { try $0.pageBytes() }, path)
    let descriptor = open(scratch, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw refused(path, "\(folder): \(reason())") }
    close(descriptor)
    defer { for suffix in ["", "-journal", "-wal"] { unlink(scratch + suffix) } }
    return try DatabaseFile.translating {
      try fill(scratch, from: source)
      let copy = try DatabaseFile.openCopy(scratch)
      let report = try copy.read { db in try DatabaseCheck(db: db).report() }
      try copy.close()
      return try body(scratch, report)
    }
  }

  /// The copy is made durable at its end: until then a crash only leaves a scratch file.
  private static func fill(_ scratch: String, from source: some DatabaseSource) throws {
    var configuration = Configuration()
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE")
      _ = try String.fetchOne(db, sql: "PRAGMA journal_mode = OFF")
    }
    let target = try DatabaseQueue(path: scratch, configuration: configuration)
    try source.copy(into: target)
    try target.close()
  }

  /// A link, since unlike a rename it never replaces; a file system without links gets the rename.
  private static func place(_ scratch: String, _ path: String) throws {
    if link(scratch, path) == 0 { return }
    guard errno == EPERM || errno == ENOTSUP || errno == ENOSYS else { throw refused(path, reason()) }
    guard rename(scratch, path) == 0 else { throw refused(path, reason()) }
  }

  private static func sync(_ file: String, _ path: String) throws {
    let descriptor = open(file.isEmpty ? "." : file, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw refused(path, reason()) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw refused(path, reason()) }
  }

  private static func expectRoom(in folder: String, bytes: Int64, _ path: String) throws {
    var disk = statvfs()
    guard statvfs(folder, &disk) == 0 else { throw refused(path, "\(folder): \(reason())") }
    let free = Int64(clamping: UInt64(disk.f_bavail) &* UInt64(disk.f_frsize))
    guard free > bytes else {
      throw refused(path, "it takes \(bytes) bytes, and \(folder) has \(free) free")
    }
  }

  private static func refused(_ path: String, _ reason: String) -> QueueError {
    .backupRefused(path: path, reason: reason)
  }

  private static func reason() -> String { String(cString: strerror(errno)) }
}
