import Foundation
import ObjectStore
import Queue
import Testing
import Wire

@testable import JobRunner

/// `ephemeral db` as the daemon answers it.
@Suite("What the daemon answers about its database")
struct DatabaseDeskTests {
  @Test("A check names what it found under keys that stay, and its exit code tells damage from warnings")
  func check() throws {
    let host = try TestDaemon()
    try host.upload("one")
    let reply = try host.desk().answer(OperatorRequest(verb: .databaseCheck))
    #expect(reply.facts?["sound"] == .bool(true) && reply.facts?["jobs"] == .number(1))
    #expect(reply.table?.rows.isEmpty == true && DatabaseAnswer.status(reply) == .done)
    let names = try FileManager.default.contentsOfDirectory(atPath: host.folder)
    #expect(!names.contains { $0.hasSuffix(".partial") }, "the checked copy is removed")
  }

  @Test("A backup goes where the operator says, or is refused with the way out; rotation counts what was asked for")
  func backup() throws {
    let host = try TestDaemon()
    try host.upload("one")
    let desk = try host.desk()
    let path = host.folder + "/copy.sqlite"
    let made = try desk.answer(OperatorRequest(verb: .databaseBackup, path: path))
    #expect(made.facts?["path"] == .text(path) && made.error == nil)
    let again = try desk.answer(OperatorRequest(verb: .databaseBackup, path: path))
    #expect(again.error?.contains("exists already") == true && again.remedy?.contains("state folder") == true)
    #expect(try desk.answer(OperatorRequest(verb: .databaseBackup, path: "copy.sqlite")).error != nil)
    for _ in 0..<3 {
      usleep(2_000)
      let kept = try desk.answer(OperatorRequest(verb: .databaseBackup, path: host.folder + "/nightly", keep: 2))
      #expect(kept.error == nil)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: host.folder + "/nightly").count == 2)
    let restored = try SQLiteQueue(path: path)
    #expect(try restored.list(JobFilter()).count == 1)
    try restored.close()
  }

  @Test("A running daemon has nothing to migrate and says which schema it has")
  func migrate() throws {
    let host = try TestDaemon()
    let reply = try host.desk().answer(OperatorRequest(verb: .databaseMigrate, dryRun: true))
    #expect(reply.facts?["pending"] == .number(0) && reply.message?.contains("nothing to migrate") == true)
  }
}
