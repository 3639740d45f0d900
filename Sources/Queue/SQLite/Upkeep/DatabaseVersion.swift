import Foundation
import GRDB

/// Which schema a file has, beside what this program knows.
package struct DatabaseVersion: Hashable, Sendable {
  /// Migrations that the file has and this program knows, oldest first.
  package let applied: [String]
  /// Migrations of this program that the file lacks, in the order in which they would be made.
  package let pending: [String]
  /// Migrations that this program does not know: a newer one made them.
  package let unknown: [String]
  /// The version of the program that migrated the file last; nil for a file from before this was noted.
  package let program: String?

  /// Whether a newer program has migrated the file.
  package var isNewer: Bool { !unknown.isEmpty }

  /// The schema by its last migration, such as `4 meta`.
  package var schema: String { unknown.last ?? applied.last ?? "none" }

  init(_ db: Database) throws {
    let migrator = QueueSchema.migrator
    let identifiers = try migrator.appliedIdentifiers(db)
    applied = migrator.migrations.filter(identifiers.contains)
    pending = migrator.migrations.filter { !identifiers.contains($0) }
    unknown = identifiers.subtracting(migrator.migrations).sorted { left, right in
      left.compare(right, options: .numeric) == .orderedAscending
    }
    program = try DatabaseMeta.value(.migratedBy, in: db)
  }
}
