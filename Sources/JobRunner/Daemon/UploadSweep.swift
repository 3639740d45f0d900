import Foundation
import Logging
import ObjectStore

/// Takes uploads from the store that nobody will end, on servers whose lifecycle rules do not: at the daemon's start and
/// once a day.
final class UploadSweep: Sendable {
  /// As old as the lifecycle rule of infra/terraform allows: an upload of a week is dead.
  static let ageSeconds: Int64 = 7 * 24 * 3600
  private static let pauseSeconds: TimeInterval = 24 * 3600

  private let store: S3Store
  private let log: Logger
  private let loop = StoppableLoop("upload sweep")

  /// - Returns: nil for a directory, which has none, and for AWS, where a rule does it without the right to list them.
  init?(_ store: any ObjectStore, log: Logger) {
    guard let store = store as? S3Store, !store.isAWS else { return nil }
    self.store = store
    self.log = log
  }

  func start() {
    loop.start { [self] in
      repeat { sweep() } while loop.rest(atMost: Self.pauseSeconds)
    }
  }

  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  private func sweep() {
    do {
      let count = try store.removeStaleUploads(olderThanSeconds: Self.ageSeconds)
      if count > 0 { log.info("removed \(count) uploads that were never ended") }
    } catch {
      log.notice("uploads that were never ended are not looked for: \(error)")
    }
  }
}
