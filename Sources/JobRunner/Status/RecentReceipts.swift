import Synchronization

/// The last jobs that ended, for the status page: the database is asked once, at the start.
final class RecentReceipts: Sendable {
  private let lines = Mutex<[ReceiptLine]>([])
  /// As many as the page shows.
  static let limit = 20

  /// Takes a job that ended; a job that ended twice (an operator brought it back) has its last line.
  func add(_ line: ReceiptLine) {
    lines.withLock { lines in
      lines.removeAll { $0.job == line.job }
      lines.append(line)
      lines.sort { $0.finishedMs > $1.finishedMs }
      lines.removeLast(max(0, lines.count - Self.limit))
    }
  }

  /// The newest first.
  var all: [ReceiptLine] { lines.withLock { $0 } }
}
