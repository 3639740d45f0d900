import GRDB

/// Facts about the file itself, by name. The table `meta` keeps its form in all later schemas, so that any program can ask
/// a newer file which version it needs.
enum DatabaseMeta {
  enum Name: String {
    /// Tells this database from others that served the same store: 32 hexadecimal digits, kept by copies.
    case id
    /// The version of the program that migrated the file last.
    case migratedBy = "migrated_by"
    /// Grows with every start, backup, hour and run, and is told to the store: a copy that was put back has a lower one.
    case mark
    /// Set while the file is being brought up to the store: the last key that is done.
    case restoredThrough = "restored_through"
    /// The newest run that the store has a record of.
    case runsRecorded = "runs_recorded"
  }

  /// Nil also where the file is from before there was the table.
  static func value(_ name: Name, in db: Database) throws -> String? {
    guard try db.tableExists("meta") else { return nil }
    return try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = ?", arguments: [name.rawValue])
  }

  /// Nil removes the fact.
  static func set(_ name: Name, _ value: String?, in db: Database) throws {
    guard let value else {
      return try db.execute(sql: "DELETE FROM meta WHERE name = ?", arguments: [name.rawValue])
    }
    try db.execute(
      sql: "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      arguments: [name.rawValue, value])
  }
}
