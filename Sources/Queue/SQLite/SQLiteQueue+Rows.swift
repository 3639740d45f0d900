import Foundation
import GRDB
import Wire

// Rows into values. The schema admits nothing that these refuse, so a refusal means a damaged file.

extension SQLiteQueue {
  static let jobSQL = """
    SELECT jobs.*, lanes.queue, lanes.tenant AS lane_tenant FROM jobs JOIN lanes ON lanes.id = jobs.lane
    """

  static func job(_ row: Row) throws -> Job {
    Job(
      row: row["id"], name: try digest(row["name"]), queue: try queueName(row["queue"]),
      tenant: tenant(row["tenant"] ?? row["lane_tenant"]), priority: row["priority"], bundleBytes: row["bundle_bytes"],
      state: try state(row["state"]), run: (row["run"] as Int64?).map(RunID.init), attempt: row["attempt"],
      faults: row["faults"], strikes: row["strikes"], enqueuedAt: Timestamp(milliseconds: row["enqueued_at"]),
      nextAttemptAt: time(row["next_attempt_at"]), leaseUntil: time(row["lease_until"]),
      deadlineAt: time(row["deadline_at"]), heartbeatAt: time(row["heartbeat_at"]), owner: row["owner"],
      cancelRequestedAt: time(row["cancel_requested_at"]),
      lastFault: (row["last_fault"] as String?).flatMap(FaultClass.init), commit: try commit(row),
      finishedAt: time(row["finished_at"]), inboxClearedAt: time(row["inbox_cleared_at"]))
  }

  static func attempt(_ row: Row) -> Attempt {
    let fault = (row["fault"] as String?).flatMap(FaultClass.init)
    return Attempt(
      number: row["number"], owner: row["owner"], startedAt: Timestamp(milliseconds: row["started_at"]),
      endedAt: time(row["ended_at"]), end: (row["ending"] as String?).flatMap(AttemptEnd.init),
      fault: fault.map { Fault($0, detail: row["detail"] ?? "") })
  }

  private static func commit(_ row: Row) throws -> JobCommit? {
    guard let outcome = row["outcome"] as String? else { return nil }
    guard let outcome = JobOutcome(rawValue: outcome) else { throw QueueError.corrupt("unknown outcome") }
    return JobCommit(attempt: row["commit_attempt"], outcome: outcome, receipt: try digest(row["receipt"]))
  }

  static func digest(_ blob: Data) throws -> ContentDigest {
    guard let digest = try? ContentDigest(blob) else { throw QueueError.corrupt("a digest of \(blob.count) bytes") }
    return digest
  }

  static func state(_ text: String) throws -> JobState {
    guard let state = JobState(rawValue: text) else { throw QueueError.corrupt("unknown state of a job") }
    return state
  }

  static func queueName(_ text: String) throws -> QueueName {
    guard let name = QueueName(text) else { throw QueueError.corrupt("a queue with an impossible name") }
    return name
  }

  /// The queue's own lane has no tenant.
  static func tenant(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

  static func time(_ milliseconds: Int64?) -> Timestamp? { milliseconds.map(Timestamp.init) }
}
