/// What keeps a queue's calls short and its database small, whatever arrives.
package enum QueueLimits {
  /// Tenants of one queue that have a lane of their own; later ones share the queue's own lane.
  package static let tenantsPerQueue = 256
  /// Inbox folders that no route names and that become queues.
  package static let unnamedQueues = 256
  /// Retries that one claim makes ready; the next claim goes on.
  package static let retriesPerClaim = 256
  /// Members that a run takes in one transaction: other calls wait no longer than that takes.
  package static let membersPerStep = 1_000
  /// Of a job's history these are kept: its first attempts…
  package static let oldestAttempts: Int64 = 16
  /// …and its last.
  package static let newestAttempts: Int64 = 240
  /// SQLite's page cache.
  static let cacheKiB = 32 << 10
  /// What is kept of the write-ahead log after a large transaction.
  static let logBytes = 64 << 20
}
