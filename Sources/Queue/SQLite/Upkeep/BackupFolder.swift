import Foundation
import Glibc

/// A folder of backups that are named by their time, of which only the newest are kept.
///
/// Two kinds are told apart, so that neither pushes the other out: those that somebody asked for, and those that were made
/// before a migration. Other files are never touched.
package struct BackupFolder: Hashable, Sendable {
  package enum Kind: String, Sendable {
    case asked = ""
    case beforeMigration = "-before-migration"
  }

  package let path: String
  package let kind: Kind
  /// At most so many of this kind stay.
  package let keep: Int

  package init(path: String, kind: Kind, keep: Int) {
    self.path = path
    self.kind = kind
    self.keep = max(1, keep)
  }

  /// A name for a backup that is made now, such as `queue-20260101T020000.000Z.sqlite`; names sort by time.
  func newFile(at moment: Date = Date()) -> String {
    let stamp = moment.formatted(
      .iso8601.year().month().day().dateSeparator(.omitted).time(includingFractionalSeconds: true)
        .timeSeparator(.omitted).timeZone(separator: .omitted))
    return "\(path)/queue-\(stamp)\(kind.rawValue).sqlite"
  }

  /// Makes a backup in the folder, and the folder where it is missing; then removes what is over the number.
  func add(_ source: some DatabaseSource) throws -> DatabaseBackup {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw QueueError.backupRefused(path: path, reason: "the folder cannot be made: \(error.localizedDescription)")
    }
    let backup = try DatabaseBackup.write(of: source, to: newFile())
    prune()
    return backup
  }

  /// Backups of this kind, the oldest first.
  package func files() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter(isBackup).sorted().map { "\(path)/\($0)" }
  }

  private func isBackup(_ name: String) -> Bool {
    let suffix = "\(kind.rawValue).sqlite"
    guard name.hasPrefix("queue-"), name.hasSuffix(suffix) else { return false }
    return name.dropFirst("queue-".count).dropLast(suffix.count).wholeMatch(of: /[0-9]{8}T[0-9]{6}\.[0-9]{3}Z/) != nil
  }

  /// One that cannot be removed stays; the backup that was just made is more important than an order to free space.
  private func prune() { for file in files().dropLast(keep) { unlink(file) } }
}
