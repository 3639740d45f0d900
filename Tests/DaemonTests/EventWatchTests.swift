import Foundation
import Logging
import ObjectStore
import Synchronization
import Testing

@testable import JobRunner

/// Answers from a list, then waits until it is cancelled.
private final class ScriptedEvents: EventSource {
  private struct State {
    var answers: [Result<Int, ObjectStoreError>]
    var asked = 0
    var isCancelled = false
  }
  private let state: Mutex<State>
  var asked: Int { state.withLock { $0.asked } }
  var isExhausted: Bool { state.withLock { $0.answers.isEmpty } }

  init(_ answers: [Result<Int, ObjectStoreError>]) { state = Mutex(State(answers: answers)) }

  func receive(waitSeconds: Int) throws -> Int {
    let answer = state.withLock { state in
      state.asked += 1
      return state.answers.isEmpty ? nil : state.answers.removeFirst()
    }
    if let answer { return try answer.get() }
    while !state.withLock({ $0.isCancelled }) { usleep(5000) }
    throw Self.fault
  }

  func cancel() { state.withLock { $0.isCancelled = true } }

  static let fault = ObjectStoreError(.notFound, "ReceiveMessage", "there is no such queue", mend: "create it")
}

@Suite("event queue in the daemon", .timeLimit(.minutes(15))) struct EventWatchTests {
  /// Runs the watch until `isDone`; the hints that it gave.
  private func hints(
    _ events: ScriptedEvents, until isDone: @escaping (Int) -> Bool,
    answer: @escaping @Sendable (Int) -> Bool = { _ in true }
  ) -> Int {
    let count = Counter()
    let watch = EventWatch(events, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
      answer(count.increment())
    }
    watch.start()
    eventually { isDone(count.value) }
    watch.stop(within: 10)
    return count.value
  }

  @Test func aMessageIsAHint() {
    #expect(hints(ScriptedEvents([.success(1)]), until: { $0 == 1 }) == 1)
  }

  @Test func aFloodIsFewHints() {
    let events = ScriptedEvents(Array(repeating: .success(10), count: 40))
    let begin = ContinuousClock.now
    let count = hints(events, until: { _ in events.isExhausted })
    let most = (ContinuousClock.now - begin).inSeconds / EventWatch.hintSeconds + 1
    #expect(count >= 1 && Double(count) <= most, "\(count) hints for 400 messages")
  }

  @Test func aHintThatCameTooEarlyIsGivenAgain() {
    let events = ScriptedEvents([.success(1)] + Array(repeating: .success(0), count: 3))
    #expect(hints(events, until: { $0 == 2 }, answer: { $0 > 1 }) == 2)
  }

  @Test func aMissingQueueIsNoHintAndNoBusyLoop() {
    let events = ScriptedEvents(Array(repeating: .failure(ScriptedEvents.fault), count: 1000))
    #expect(hints(events, until: { _ in events.asked >= 2 }) == 0)
    #expect(events.asked < 10)
  }

  @Test func anEmptyAnswerThatComesAtOnceIsNoBusyLoop() {
    let events = ScriptedEvents(Array(repeating: .success(0), count: 1000))
    #expect(hints(events, until: { _ in events.asked >= 2 }) == 0)
    #expect(events.asked < 10)
  }
}
