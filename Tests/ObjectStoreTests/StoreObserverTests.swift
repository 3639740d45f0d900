import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStore

/// Keeps what it is told.
final class RecordingObserver: StoreObserver {
  private let seen = Mutex<[StoreRequest]>([])
  var requests: [StoreRequest] { seen.withLock { $0 } }
  func requestEnded(_ request: StoreRequest) { seen.withLock { $0.append(request) } }
}

@Suite("what a store's observer is told", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct StoreObserverTests {
  @Test("every request once, with its operation, outcome, bytes and which try it was")
  func requests() throws {
    let moto = try Moto.open.get()
    let observer = RecordingObserver()
    let proxy = try FaultProxy(
      to: moto.endpoint, [.answer(status: 503, code: "SlowDown"), .pass, .pass, .pass, .pass, .loseAnswer])
    var settings = S3Settings()
    settings.testsConditions = false
    let store = try moto.store(through: proxy.endpoint, settings: settings, observer: observer)
    let key = try ObjectKey("a")
    _ = try store.put(key, [1, 2, 3], .always)
    _ = try store.put(key, [1, 2, 3], .ifAbsent)
    _ = try store.getSmall(key)
    _ = try store.list(prefix: "", after: nil, limit: 10)
    #expect(storeFailure { try store.getSmall(try ObjectKey("absent")) }?.kind == .notFound)

    let got = observer.requests
    #expect(
      got.map(\.operation) == [
        .putObject, .putObject, .putObject, .headObject, .getObject, .listObjects, .listObjects, .getObject,
      ])
    #expect(got.map(\.outcome) == [.throttled, .ok, .ok, .ok, .ok, .connection, .ok, .refused])
    #expect(got.map(\.attempt) == [1, 2, 1, 1, 1, 1, 2, 1])
    #expect(got.map(\.status) == [503, 200, 412, 200, 200, 0, 200, 404])
    #expect(got[1].sentBytes == 3 && got[4].receivedBytes == 3)
    #expect(got.allSatisfy { $0.seconds > 0 })
  }
}
