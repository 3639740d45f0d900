import Dispatch
import Foundation
import Synchronization

/// A few threads beside each other for many small requests to a store, each of which mostly waits.
enum Lanes {
  static let count = 16

  private struct State<Value: Sendable>: Sendable {
    var next = 0
    var values: [Value?]
    var error: (any Error)?
  }

  /// Maps in order. The first error that comes up ends the others after their present item.
  static func map<Item: Sendable, Value: Sendable>(
    _ items: [Item], _ body: @escaping @Sendable (Item) throws -> Value
  ) throws -> [Value] {
    let state = Mutex(State<Value>(values: Array(repeating: nil, count: items.count)))
    let group = DispatchGroup()
    let work: @Sendable () -> Void = {
      while true {
        let index = state.withLock { state -> Int? in
          guard state.error == nil, state.next < items.count else { return nil }
          defer { state.next += 1 }
          return state.next
        }
        guard let index else { return }
        do {
          let value = try body(items[index])
          state.withLock { $0.values[index] = value }
        } catch {
          state.withLock { $0.error = $0.error ?? error }
        }
      }
    }
    // The calling thread is one of the lanes.
    for _ in 1..<max(1, min(count, items.count)) {
      group.enter()
      Thread.detachNewThread {
        work()
        group.leave()
      }
    }
    work()
    group.wait()
    return try state.withLock { state in
      if let error = state.error { throw error }
      return state.values.compactMap { $0 }
    }
  }
}
