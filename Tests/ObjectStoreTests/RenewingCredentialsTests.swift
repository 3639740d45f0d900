import Foundation
import SealedCrypto
import Synchronization
import Testing

@testable import ObjectStore

/// A clock that the test moves, in seconds since 1970.
final class TestClock: Sendable {
  private let seconds = Mutex<Int64>(1_800_000_000)
  var now: Int64 { seconds.withLock { $0 } }
  func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

@Suite("credentials are renewed before they end")
struct RenewingCredentialsTests {
  private let clock = TestClock()

  /// Credentials called C1, C2, … that live `lifetime` seconds each.
  private func source(lifetime: Int64?, jitter: Int64 = 0, fails: @escaping @Sendable (Int) -> Bool = { _ in false })
    -> (source: RenewingCredentials, calls: Counter)
  {
    let calls = Counter()
    let clock = clock
    let source = RenewingCredentials(now: { clock.now }, jitter: { jitter }) {
      let call = calls.next()
      if fails(call) { throw ObjectStoreError(.retryable, "ask", "no answer", mend: "") }
      return AWSCredentials(
        accessKeyID: "C\(call)", secret: try SecretBytes(copying: [1]), expiration: lifetime.map { clock.now + $0 })
    }
    return (source, calls)
  }

  @Test("five to ten minutes before the end, by the jitter")
  func lead() throws {
    for jitter: Int64 in [0, 300] {
      let (source, _) = source(lifetime: 3600, jitter: jitter)
      #expect(try source.credentials().accessKeyID == "C1")
      clock.advance(3600 - 300 - jitter - 1)
      #expect(try source.credentials().accessKeyID == "C1")
      clock.advance(1)
      #expect(try source.credentials().accessKeyID == "C2")
    }
  }

  @Test("a renewal that fails leaves the old ones in use, is tried again a minute later, and is reported")
  func stale() throws {
    let (source, calls) = source(lifetime: 3600, fails: { $0 > 1 })
    _ = try source.credentials()
    #expect(source.trouble == nil)
    clock.advance(3300)
    for _ in 0..<10 { #expect(try source.credentials().accessKeyID == "C1") }
    #expect(calls.value == 2)
    #expect(source.trouble?.reason == "no answer")
    clock.advance(60)
    #expect(try source.credentials().accessKeyID == "C1")
    #expect(calls.value == 3)
    clock.advance(300)
    #expect(throws: ObjectStoreError.self) { try source.credentials() }
  }

  @Test("it recovers when the service does")
  func recovery() throws {
    let (source, _) = source(lifetime: 600, fails: { $0 == 2 })
    _ = try source.credentials()
    clock.advance(599)
    #expect(try source.credentials().accessKeyID == "C1")
    clock.advance(60)
    #expect(try source.credentials().accessKeyID == "C3")
    #expect(source.trouble == nil)
  }

  @Test("credentials that are near their end when they come do not make a request of every call")
  func short() throws {
    let (source, calls) = source(lifetime: 240)
    for _ in 0..<100 { _ = try source.credentials() }
    #expect(calls.value == 1)
  }

  @Test("credentials that this clock calls ended are used, since the clock may be wrong, and asked for again soon")
  func ended() throws {
    let (source, calls) = source(lifetime: -100)
    for _ in 0..<10 { #expect(try source.credentials().accessKeyID == "C1") }
    clock.advance(5)
    #expect(try source.credentials().accessKeyID == "C2")
    #expect(calls.value == 2)
  }

  @Test("many threads make one request, and during a renewal nobody waits who has good ones")
  func concurrency() throws {
    let gate = DispatchSemaphore(value: 0)
    let calls = Counter()
    let clock = clock
    let source = RenewingCredentials(now: { clock.now }, jitter: { 0 }) {
      let call = calls.next()
      if call == 2 { gate.wait() }
      return AWSCredentials(
        accessKeyID: "C\(call)", secret: try SecretBytes(copying: [1]), expiration: clock.now + 3600)
    }
    DispatchQueue.concurrentPerform(iterations: 32) { _ in _ = try? source.credentials() }
    #expect(calls.value == 1)
    clock.advance(3400)
    let renewed = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      _ = try? source.credentials()
      renewed.signal()
    }
    while calls.value < 2 { usleep(1000) }
    // The renewal hangs in its request: these return all the same.
    for _ in 0..<32 { #expect(try source.credentials().accessKeyID == "C1") }
    gate.signal()
    renewed.wait()
    #expect(try source.credentials().accessKeyID == "C2")
    #expect(calls.value == 2)
  }

  @Test("threads that wait for the same failing request share its failure")
  func sharedFailure() {
    // Threads that stand at the lock cannot be seen from outside; where all were late, the next round shows it.
    var calls = 8
    for _ in 0..<20 where calls == 8 { calls = callsOfEightThreads() }
    #expect(calls < 8)
  }

  private func callsOfEightThreads() -> Int {
    let arrived = Counter()
    let calls = Counter()
    let source = RenewingCredentials(now: { 0 }) {
      _ = calls.next()
      while arrived.value < 8 { usleep(1000) }
      // All eight stand before the lock, or are about to: those that come later ask for themselves.
      usleep(50_000)
      throw ObjectStoreError(.retryable, "ask", "no answer", mend: "")
    }
    let threads = (0..<8).map { _ in
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        _ = arrived.next()
        _ = try? source.credentials()
        done.signal()
      }
      return done
    }
    for thread in threads { thread.wait() }
    return calls.value
  }
}

/// Counts from 1.
final class Counter: Sendable {
  private let count = Mutex(0)
  var value: Int { count.withLock { $0 } }
  func next() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}
