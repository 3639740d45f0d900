import Foundation
import GRDB
import Glibc

/// How the queue's file is opened: by this process alone, through one connection.
///
/// The danger is a second descriptor. SQLite's locks are POSIX's, and a process that closes any descriptor of a file loses
/// all its locks on it. So nothing in a process that has the database open may read, copy or sync it as a file.
enum DatabaseFile {
  /// Opens the file at `path` and takes its lock; others get no permission on it.
  ///
  /// - Parameter create: whether a missing file is made.
  /// - Throws: ``QueueError/missing(path:)``, ``QueueError/alreadyOpen(path:)``, ``QueueError/corrupt(_:)``,
  ///   ``QueueError/unavailable(_:)``
  static func open(_ path: String, create: Bool) throws -> DatabaseQueue {
    if create {
      // SQLite would make it as the umask has it; its log takes the file's mode.
      let descriptor = Glibc.open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
      guard descriptor >= 0 || errno == EEXIST else {
        throw QueueError.unavailable("\(path) cannot be made: \(String(cString: strerror(errno)))")
      }
      if descriptor >= 0 { close(descriptor) }
    }
    guard FileManager.default.fileExists(atPath: path) else { throw QueueError.missing(path: path) }
    // By name: a descriptor of a file that is open would cost its locks.
    chmod(path, 0o600)
    var configuration = Configuration()
    configuration.label = "queue"
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
      let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
      guard mode == "wal" else { throw QueueError.unavailable("no write-ahead log at \(path)") }
      try db.execute(sql: "PRAGMA synchronous = FULL")
      try db.execute(sql: "PRAGMA cache_size = -\(QueueLimits.cacheKiB)")
      try db.execute(sql: "PRAGMA journal_size_limit = \(QueueLimits.logBytes)")
    }
    return try translating(path) { try DatabaseQueue(path: path, configuration: configuration) }
  }

  /// Opens a copy that is nobody's queue, without a log beside it.
  static func openCopy(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.label = "copy"
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
      // Pages are copied with a header that asks for a log; a backup is one file.
      let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = DELETE")
      guard mode == "delete" else { throw QueueError.unavailable("\(path) cannot be made one file") }
    }
    return try translating(path) { try DatabaseQueue(path: path, configuration: configuration) }
  }

  /// Runs `body` and says what SQLite's errors mean.
  static func translating<Value>(_ path: String? = nil, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as DatabaseError {
      let words = error.message ?? "\(error.resultCode)"
      switch error.resultCode {
      case .SQLITE_BUSY where path != nil: throw QueueError.alreadyOpen(path: path ?? "")
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: throw QueueError.corrupt(words)
      default: throw QueueError.unavailable("\(words) (SQLite \(error.extendedResultCode.rawValue))")
      }
    }
  }
}
