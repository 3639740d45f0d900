import ArgumentParser
import Foundation
import Logging
import Queue
import Testing
import Wire

@testable import JobRunner

@Suite("What the daemon answers its operator")
struct OperatorTests {
  @Test("A job is found by four digits or more, when no other begins so")
  func beginnings() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    let job = try host.upload("one")
    for digits in [4, 10, 63, 64] {
      let reply = try desk.answer(OperatorRequest(verb: .inspect, job: String(job.hex.prefix(digits)).uppercased()))
      #expect(reply.facts?["job"] == .text(job.hex) && reply.table?.name == "attempts")
    }
    for text in ["", "abc", "no digits", String(job.hex.prefix(3)), job.hex + "0"] {
      let reply = try desk.answer(OperatorRequest(verb: .inspect, job: text))
      #expect(reply.error?.contains("no job's name") == true && reply.isMissing == nil)
    }
    let other = job.hex.hasPrefix("0") ? "1111" : "0000"
    #expect(try desk.answer(OperatorRequest(verb: .inspect, job: other)).isMissing == true)
    var next = job.bytes
    next[31] ^= 1
    let queue = try #require(QueueName("default"))
    _ = try host.queue.enqueue([NewJob(try JobName(next), queue: queue)], at: SystemClock().now())
    let both = try desk.answer(OperatorRequest(verb: .inspect, job: String(job.hex.prefix(20))))
    #expect(both.remedy == "give more digits")
  }

  @Test("An unknown job cannot be cancelled or retried, and no state is written for it")
  func unknownJob() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    let nobody = String(repeating: "ab", count: 32)
    for verb in [OperatorRequest.Verb.cancel, .retry, .inspect] {
      let reply = try desk.answer(OperatorRequest(verb: verb, job: nobody))
      #expect(reply.isMissing == true && reply.error?.contains(nobody) == true && reply.remedy != nil)
    }
    #expect(try host.store.names(under: "jobs/").isEmpty)
  }

  @Test("A verb that left something ends with exit code 3, and with 0 when nothing is left", arguments: [true, false])
  func partialExit(hasMore: Bool) throws {
    let host = try TestDaemon()
    let path = host.folder + "/d.sock"
    let server = try OperatorServer(listenOn: .unix(path), log: host.log.logger) { _ in
      .done("jobs pruned: 7", ["pruned": .number(7), "more": .bool(hasMore)])
    }
    server.start()
    defer { server.stop() }
    let command = try QueueCommand.Prune.parse(["--socket", path, "--json"])
    guard hasMore else { return try command.run() }
    #expect(throws: ExitCode(ExitStatus.partial.rawValue)) { try command.run() }
  }

  @Test("A queue that does not exist is refused with the names of those that do, and none is made")
  func unknownQueue() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    for verb in [OperatorRequest.Verb.pause, .resume, .list] {
      let reply = try desk.answer(OperatorRequest(verb: verb, queue: "nosuch"))
      #expect(reply.isMissing == true && reply.remedy?.contains("default") == true)
    }
    #expect(try host.queue.stats().isEmpty)
    let paused = try desk.answer(OperatorRequest(verb: .pause, queue: "default"))
    #expect(paused.facts == ["queue": .text("default"), "paused": .bool(true)])
    #expect(try host.queue.stats().map(\.isPaused) == [true])
  }

  @Test("JSON carries numbers, booleans and nulls, under keys that stay; the table shows the same for people")
  func json() throws {
    let host = try TestDaemon()
    let job = try host.upload("one")
    var reply = try host.desk().answer(OperatorRequest(verb: .list))
    let sent = try JSONEncoder().encode(reply)
    reply = try JSONDecoder().decode(OperatorReply.self, from: sent)
    let line = OperatorAnswer.json(reply).encoded
    let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    let row = try #require((object["jobs"] as? [[String: Any]])?.first)
    #expect(row["job"] as? String == job.hex && row["attempt"] as? Int == 0 && row["bundle_bytes"] as? Int == 3)
    #expect(row["outcome"] is NSNull && (row["enqueued_ms"] as? Int ?? 0) > 1_700_000_000_000)
    #expect(
      Set(row.keys) == [
        "job", "queue", "tenant", "state", "attempt", "strikes", "priority", "run", "outcome", "last_fault",
        "bundle_bytes",
        "enqueued_ms", "next_attempt_ms", "cancel_requested_ms", "finished_ms", "heartbeat_ms", "inbox_cleared_ms",
      ])
    let lines = OperatorAnswer.lines(reply)
    #expect(lines.count == 2 && lines[0].contains("LAST FAULT") && lines[1].contains("\(job.hex)  default  ready  0"))
    let stats = try OperatorAnswer.json(host.desk().answer(OperatorRequest(verb: .stats))).encoded
    #expect(stats.contains(#""paused":false"#) && stats.contains(#""ready":1"#))
  }

  @Test("The state folder is for the daemon alone: made so, mended where it is its own, refused where others use it")
  func stateFolder() throws {
    let host = try TestDaemon()
    let manager = FileManager.default
    func mode(_ path: String) throws -> Int? {
      (try manager.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
    }
    let fresh = host.folder + "/fresh"
    try StateFolder.prepare(fresh, host.log.logger)
    #expect(try mode(fresh) == 0o700)
    try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: fresh)
    _ = manager.createFile(atPath: fresh + "/" + StateFolder.database, contents: nil)
    try StateFolder.prepare(fresh, host.log.logger)
    #expect(try mode(fresh) == 0o700 && host.log.count(.warning, "open to others") == 1)
    let shared = host.folder + "/shared"
    try manager.createDirectory(
      atPath: shared, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
    _ = manager.createFile(atPath: shared + "/letters", contents: nil)
    try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: shared)
    #expect(throws: CannotStart.self) { try StateFolder.prepare(shared, host.log.logger) }
    #expect(try mode(shared) == 0o755)
  }
}
