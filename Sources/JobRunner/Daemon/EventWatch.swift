import Foundation
import Logging
import ObjectStore

/// Waits at the bucket's event queue and wakes the intake when something came: the listing is the truth, an event only
/// shortens the wait for it.
///
/// Whatever the queue does costs at most a listing a second: a flood of messages is one hint, and a queue that is missing,
/// refuses or babbles is complained about and asked again later, while the intake goes on at its own interval.
final class EventWatch: @unchecked Sendable {
  /// Between two hints.
  static let hintSeconds = 1.0
  private static let longestPauseSeconds = 60.0
  /// An empty answer that comes sooner was not waited for, and asking again at once would be a busy loop.
  private static let shortestWaitSeconds = 0.5

  private let events: any EventSource
  private let log: Logger
  private let onHint: @Sendable () -> Bool
  private let loop = StoppableLoop("events")
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private var lastHint: Date?
  private var isHintOwed = false

  /// - Parameter onHint: something may have come; called at most once in ``hintSeconds``. False is for "not now": it is
  ///   said again.
  init(_ events: any EventSource, log: Logger, onHint: @escaping @Sendable () -> Bool) {
    self.events = events
    self.log = log
    self.onHint = onHint
  }

  func start() { loop.start { [self] in run() } }

  /// Ends the wait at the queue, too.
  func stop(within seconds: TimeInterval) {
    events.cancel()
    loop.stop(within: seconds)
  }

  private func run() {
    var failures = 0
    var seconds = 0.0
    while loop.rest(atMost: seconds) {
      do {
        seconds = try round()
        failures = 0
        complaint.clear()
      } catch {
        guard !loop.isStopping else { return }
        if complaint.isDue("\(error)") {
          log.warning("events are not heard, the inbox is looked at all the same: \(error)")
        }
        failures += 1
        seconds = min(Double(1 << min(failures, 10)), Self.longestPauseSeconds)
      }
      hintIfDue()
    }
  }

  /// One question to the queue.
  ///
  /// - Returns: how long to rest.
  private func round() throws -> TimeInterval {
    let begin = Date()
    let count = try events.receive(waitSeconds: isHintOwed ? 1 : EventQueue.longestWaitSeconds)
    if count > 0 {
      isHintOwed = true
      return 0.05
    }
    return -begin.timeIntervalSinceNow < Self.shortestWaitSeconds ? 1 : 0
  }

  private func hintIfDue() {
    guard isHintOwed, lastHint.map({ -$0.timeIntervalSinceNow >= Self.hintSeconds }) ?? true else { return }
    lastHint = Date()
    isHintOwed = !onHint()
  }
}
