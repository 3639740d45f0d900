import GRDBSQLite

/// The SQLite that this program runs with; Debian's, since it is linked dynamically.
package enum SQLiteLibrary {
  /// Such as `3.40.1`.
  package static var version: String { String(cString: sqlite3_libversion()) }

  /// STRICT tables came with 3.37.
  package static var isEnough: Bool { sqlite3_libversion_number() >= 3_037_000 }

  /// From 3.7.0 to 3.51.2 a second connection that resets the log can corrupt the file.
  package static var hasResetFault: Bool { (3_007_000...3_051_002).contains(sqlite3_libversion_number()) }
}
