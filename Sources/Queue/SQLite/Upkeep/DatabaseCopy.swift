import Foundation
import GRDB
import GRDBSQLite

/// One copy of an open database, made in steps between which its owner goes on working.
///
/// SQLite's backup has the writes of the connection that it reads from go into the copy too, so it ends however busy that
/// is, and the copy is the database at the moment of the last step. Every call must be made inside the source's queue.
final class DatabaseCopy: @unchecked Sendable {
  /// Of 4 KiB: a step takes a few milliseconds, which is what a heartbeat waits for at most.
  static let pagesPerStep: CInt = 256
  private var handle: OpaquePointer?

  /// Begins to copy `source` over all of `target`.
  init(of source: Database, to target: Database) throws {
    handle = sqlite3_backup_init(target.sqliteConnection, "main", source.sqliteConnection, "main")
    if handle == nil { throw DatabaseError(resultCode: target.lastErrorCode, message: target.lastErrorMessage) }
  }

  /// Copies some pages; true when all are copied.
  func step() throws -> Bool {
    guard let handle else { throw DatabaseError(resultCode: .SQLITE_ABORT, message: "the copy was given up") }
    switch sqlite3_backup_step(handle, Self.pagesPerStep) {
    case SQLITE_OK: return false
    case SQLITE_DONE:
      try finish()
      return true
    case let code:
      cancel()
      throw DatabaseError(resultCode: ResultCode(rawValue: code), message: "copying pages")
    }
  }

  /// Gives up; harmless a second time. A connection with a copy under way cannot be closed.
  func cancel() {
    sqlite3_backup_finish(handle)
    handle = nil
  }

  private func finish() throws {
    let code = sqlite3_backup_finish(handle)
    handle = nil
    guard code == SQLITE_OK else {
      throw DatabaseError(resultCode: ResultCode(rawValue: code), message: "copying pages")
    }
  }
}
