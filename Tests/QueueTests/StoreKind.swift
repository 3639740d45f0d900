import Foundation
import Wire

@testable import Queue

/// The stores that the conformance suite holds to the promises of `QueueStore`. A second engine is one more case.
enum StoreKind: String, CaseIterable {
  case sqlite
}

/// A store of one kind in a folder of its own, which a test may close and open again.
final class StoreFixture {
  let kind: StoreKind
  let folder: URL
  let policy: RetryPolicy
  private let membersPerStep: Int
  private(set) var store: SQLiteQueue

  init(
    _ kind: StoreKind, policy: RetryPolicy = RetryPolicy(strikeLimit: 3), seed: UInt64 = 1,
    membersPerStep: Int = QueueLimits.membersPerStep
  ) throws {
    self.kind = kind
    self.policy = policy
    self.membersPerStep = membersPerStep
    folder = StoreFixture.root.appending(path: "queue-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    store = try SQLiteQueue(
      path: folder.appending(path: "queue.db").path, retryPolicy: policy, random: SeededRandom(seed: seed),
      membersPerStep: membersPerStep)
  }

  /// Closes the store and removes its folder.
  func remove() {
    try? store.close()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Memory where there is some: a simulation makes thousands of durable commits.
  private static let root =
    FileManager.default.fileExists(atPath: "/dev/shm")
    ? URL(fileURLWithPath: "/dev/shm") : FileManager.default.temporaryDirectory

  var path: String { folder.appending(path: "queue.db").path }

  /// Removes the database, or with a suffix its log.
  func removeFile(_ suffix: String) throws { try FileManager.default.removeItem(atPath: path + suffix) }

  /// What a killed process leaves: the files as they are at this moment, opened by a successor.
  func crashAndReopen(seed: UInt64 = 2) throws {
    let copy = folder.appending(path: "after-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
    for name in ["queue.db", "queue.db-wal"] where FileManager.default.fileExists(atPath: folder.path + "/" + name) {
      try FileManager.default.copyItem(at: folder.appending(path: name), to: copy.appending(path: name))
    }
    try store.close()
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
      try? FileManager.default.removeItem(at: folder.appending(path: name))
      if FileManager.default.fileExists(atPath: copy.path + "/" + name) {
        try FileManager.default.moveItem(at: copy.appending(path: name), to: folder.appending(path: name))
      }
    }
    store = try SQLiteQueue(
      path: path, retryPolicy: policy, random: SeededRandom(seed: seed),
      membersPerStep: membersPerStep)
  }
}

/// A job's name that a number repeats.
func jobName(_ number: UInt64) throws -> JobName {
  try JobName((0..<32).map { UInt8(truncatingIfNeeded: number >> (8 * (UInt64($0) % 8))) ^ UInt8($0 / 8) })
}

func queueName(_ text: String) throws -> QueueName {
  guard let name = QueueName(text) else { throw QueueError.corrupt("not a queue's name: \(text)") }
  return name
}

extension NewJob {
  static func sample(
    _ number: UInt64, queue: String = "default", tenant: String? = nil, priority: Int64 = 0, isHeld: Bool = false
  ) throws -> NewJob {
    NewJob(
      try jobName(number), queue: try queueName(queue), tenant: tenant, priority: priority, bundleBytes: 1_000,
      isHeld: isHeld)
  }
}

extension Timestamp {
  /// 2026-01-01T00:00:00Z.
  static let start = Timestamp(milliseconds: 1_767_225_600_000)
}

extension ClaimRequest {
  static let test = ClaimRequest(owner: "worker-1", leaseDuration: .seconds(30), attemptTimeout: .seconds(600))
}

extension JobCommit {
  static func sample(_ attempt: Int64, _ outcome: JobOutcome = .completed) throws -> JobCommit {
    JobCommit(attempt: attempt, outcome: outcome, receipt: try jobName(9_999))
  }
}
