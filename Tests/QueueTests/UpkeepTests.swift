import Foundation
import GRDB
import Testing
import Wire

@testable import Queue

@Suite("Check, backup and migration of the database")
struct UpkeepTests {
  /// A database as the first version of the schema had it, with a job in every state, and the words of its rows.
  private func oldDatabase(at path: String) throws {
    let queue = try DatabaseQueue(path: path)
    try QueueSchema.migrator.migrate(queue, upTo: "1 jobs")
    try queue.write { db in
      try db.execute(
        sql: """
          INSERT INTO queues (name) VALUES ('default'); INSERT INTO lanes (queue, tenant) VALUES ('default', '');
          INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at, attempt)
            VALUES (x'\(try jobName(1).hex)', 1, 0, 10, 'ready', 1, 1, 0);
          INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at, attempt, commit_attempt,
            outcome, receipt, finished_at)
            VALUES (x'\(try jobName(2).hex)', 1, 0, 10, 'finished', 1, 1, 1, 1, 'completed', zeroblob(32), 9);
          INSERT INTO attempts VALUES (2, 1, 'w', 1, 9, 'finished', NULL, NULL);
          INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at, attempt, lease_token,
            lease_until, deadline_at, owner) VALUES (x'\(try jobName(3).hex)', 1, 0, 10, 'running', 1, 1, 1, 7, 8, 9, 'w');
          INSERT INTO attempts VALUES (3, 1, 'w', 1, NULL, NULL, NULL, NULL);
          """)
    }
    try queue.close()
  }

  private func folder() throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "upkeep-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private func mode(_ path: String) throws -> Int? {
    (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
  }

  @Test("A busy queue is copied whole: the copy is sound, private, has everything that was promised, and is one file")
  func backup() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue((0..<3_000).map { try .sample($0) }, at: .start)
    let finished = try #require(try fixture.store.claim(.test, at: .start))
    try fixture.store.finish(finished, with: .sample(1), at: .start)
    let store = fixture.store
    let path = fixture.folder.path + "/copy.sqlite"
    // Writes go on while pages are copied.
    let writer = Thread {
      for number in UInt64(5_000)..<5_400 { _ = try? store.enqueue([.sample(number)], at: .start) }
    }
    writer.start()
    let backup = try store.backUp(to: path)
    while !writer.isFinished { usleep(1_000) }
    #expect(backup.report.isSound && backup.report.findings.isEmpty)
    #expect((backup.report.jobs ?? 0) >= 3_000)
    #expect(try mode(path) == 0o600)
    let names = try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path)
    #expect(names.filter { $0.hasPrefix("copy") || $0.hasSuffix(".partial") } == ["copy.sqlite"], "\(names)")

    let restored = try SQLiteQueue(path: path)
    #expect(try restored.inspect(finished.job)?.job.state == .finished)
    #expect(try restored.list(JobFilter(limit: 10_000)).count == Int(backup.report.jobs ?? 0))
    try restored.close()
  }

  @Test("A backup never overwrites, and one that cannot be made leaves nothing behind")
  func refusals() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let path = fixture.folder.path + "/letters"
    try Data("letters".utf8).write(to: URL(filePath: path))
    #expect(throws: QueueError.self) { try fixture.store.backUp(to: path) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "letters")
    let error = #expect(throws: QueueError.self) {
      try fixture.store.backUp(to: fixture.folder.path + "/nowhere/copy.sqlite")
    }
    #expect("\(try #require(error))".contains("No such file"))
    try fixture.store.write { db in
      try db.execute(
        sql: """
          INSERT INTO queues (name) VALUES ('q'); INSERT INTO lanes (queue, tenant) VALUES ('q', '');
          INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at, attempt)
            VALUES (zeroblob(32), 1, 0, 0, 'ready', 1, 1, 5)
          """)
    }
    let unsound = #expect(throws: QueueError.self) {
      try fixture.store.backUp(to: fixture.folder.path + "/copy.sqlite")
    }
    #expect("\(try #require(unsound))".contains("not sound"))
    let names = try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path).sorted()
    #expect(names.filter { !$0.hasPrefix("queue.db") } == ["letters"])
  }

  @Test("A folder keeps the newest backups of each kind, and nothing else is touched")
  func rotation() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let path = fixture.folder.path + "/backups"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data().write(to: URL(filePath: path + "/queue-important.sqlite"))
    let migration = BackupFolder(path: path, kind: .beforeMigration, keep: 2)
    let before = try fixture.store.backUp(into: migration)
    let folder = BackupFolder(path: path, kind: .asked, keep: 3)
    let made = try (0..<5).map { _ in
      usleep(2_000)
      return try fixture.store.backUp(into: folder).path
    }
    #expect(folder.files() == Array(made.suffix(3)))
    #expect(migration.files() == [before.path])
    #expect(FileManager.default.fileExists(atPath: path + "/queue-important.sqlite"))
  }

  @Test("An old database is migrated behind a backup that still opens as what it was; its jobs are all there")
  func migration() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/queue.sqlite"
    try oldDatabase(at: path)
    let before = try StoppedDatabase.check(backup: path)
    #expect(before.isSound && before.findings.map(\.code) == ["older schema"], "\(before.findings)")

    let store = try SQLiteQueue(
      path: path, program: "7.8.9", backups: BackupFolder(path: folder + "/backups", kind: .beforeMigration, keep: 2))
    let backup = try #require(store.migrationBackup)
    #expect(try store.version().pending.isEmpty && store.version().program == "7.8.9")
    #expect(try store.list(JobFilter()).map(\.state) == [.ready, .finished, .running])
    #expect(try store.check().findings.isEmpty)
    #expect(try mode(backup.path) == 0o600 && mode(folder + "/backups") == 0o700)
    try store.close()

    let old = try StoppedDatabase.check(backup: backup.path)
    #expect(old.version.applied == ["1 jobs"] && old.isSound && old.jobs == 3)
    let again = try SQLiteQueue(path: path, backups: BackupFolder(path: folder + "/b", kind: .beforeMigration, keep: 2))
    #expect(again.migrationBackup == nil, "what is current is not copied")
    try again.close()
  }

  @Test("Without room for the backup nothing is migrated")
  func migrationWithoutBackup() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/queue.sqlite"
    try oldDatabase(at: path)
    try Data().write(to: URL(filePath: folder + "/blocked"))
    #expect(throws: QueueError.self) {
      try SQLiteQueue(
        path: path, backups: BackupFolder(path: folder + "/blocked/backups", kind: .beforeMigration, keep: 2))
    }
    #expect(try StoppedDatabase.check(backup: path).version.applied == ["1 jobs"])
  }

  @Test("A database of a newer version names the version that it needs, to the daemon and to the check")
  func newer() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/queue.sqlite"
    let store = try SQLiteQueue(path: path, program: "99.1.0")
    try store.write { db in try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('120 future')") }
    try store.close()
    let error = #expect(throws: QueueError.self) { try SQLiteQueue(path: path, program: "1.0.0") }
    let words = "\(try #require(error))"
    #expect(words.contains("99.1.0") && words.contains("120 future"))
    let stopped = try StoppedDatabase(path: path)
    let report = try stopped.check()
    #expect(!report.isSound && report.findings.map(\.code) == ["newer schema"])
    #expect(report.findings.first?.words.contains("99.1.0") == true)
    try stopped.close()
  }

  @Test(
    "Rows that this program never writes are found",
    arguments: [
      ("lease without history", "DELETE FROM attempts"),
      ("open history", "UPDATE attempts SET number = 1, ended_at = NULL, ending = NULL WHERE job = 2"),
      ("history ahead", "INSERT INTO attempts VALUES (1, 1, 'w', 1, 2, 'released', NULL, NULL)"),
      ("history behind", "UPDATE jobs SET attempt = 4 WHERE id = 1"),
      (
        "gap in history",
        "UPDATE jobs SET attempt = 3 WHERE id = 1; INSERT INTO attempts VALUES (1, 3, 'w', 1, 2, 'released', NULL, NULL)"
      ),
      (
        "skipped run",
        "INSERT INTO runs (id, schedule, nominal_at, cause, opened_at, skipped) VALUES (1, 's', 1, 'clock', 1, 'overlap'); UPDATE jobs SET run = 1 WHERE id = 1"
      ),
      ("counter", "UPDATE job_counts SET jobs = jobs + 1 WHERE state = 'dead'"),
      ("schema", "DROP INDEX jobs_retry"),
      ("reference", "PRAGMA foreign_keys = OFF; UPDATE jobs SET lane = 77 WHERE id = 1"),
    ])
  func invariants(code: String, damage: String) throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/queue.sqlite"
    try oldDatabase(at: path)
    try SQLiteQueue(path: path).close()
    let plain = try DatabaseQueue(path: path)
    try plain.writeWithoutTransaction { db in try db.execute(sql: damage) }
    try plain.close()
    let stopped = try StoppedDatabase(path: path)
    let report = try stopped.check()
    #expect(!report.isSound && report.findings.contains { $0.code == code }, "\(report.findings)")
    try stopped.close()
  }

  @Test("Bytes that were changed on the disk are found, and no daemon's write is needed to find them")
  func damagedPages() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue((0..<5_000).map { try .sample($0) }, at: .start)
    try fixture.store.close()
    let handle = try #require(FileHandle(forUpdatingAtPath: fixture.path))
    let size = try handle.seekToEnd()
    for page in stride(from: UInt64(120 * 4096), to: size, by: 8 * 4096) {
      try handle.seek(toOffset: page + 100)
      try handle.write(contentsOf: Data(repeating: 0xA5, count: 600))
    }
    try handle.close()
    let stopped = try StoppedDatabase(path: fixture.path)
    let report = try? stopped.check()
    #expect(report?.isSound != true)
    if let report { #expect(report.findings.contains { $0.code == "integrity" && $0.remedy.contains("recovery.md") }) }
    try? stopped.close()
  }

  @Test("The file and its log are for their owner alone, also where an older version left them open")
  func permissions() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    #expect(try mode(fixture.path) == 0o600 && mode(fixture.path + "-wal") == 0o600)
    try fixture.store.close()
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: fixture.path)
    let store = try SQLiteQueue(path: fixture.path)
    #expect(try mode(fixture.path) == 0o600)
    try store.close()
  }

  @Test("A file that is open is not opened beside it, and a missing one is not made")
  func exclusive() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let path = fixture.path
    #expect(throws: QueueError.alreadyOpen(path: path)) { try StoppedDatabase(path: path) }
    let absent = fixture.folder.path + "/absent.sqlite"
    #expect(throws: QueueError.missing(path: absent)) { try StoppedDatabase(path: absent) }
    #expect(!FileManager.default.fileExists(atPath: absent))
  }
}
