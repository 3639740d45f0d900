import Foundation
import SealedCrypto
import Synchronization
import TestSupport
import Testing

@testable import ObjectStore

extension Moto {
  /// Parts of 4 KB and windows of 5,000 bytes, through `proxy`, before the server that takes such.
  func smallStore(
    through proxy: FaultProxy? = nil, prefix: String, stalledSeconds: Int = 60,
    observer: any StoreObserver = NoStoreObserver(), change: (inout S3Settings) -> Void = { _ in }
  ) throws -> S3Store {
    var settings = S3Settings()
    settings.partBytes = 4096
    settings.windowBytes = 5000
    settings.stalledSeconds = stalledSeconds
    settings.testsConditions = false
    change(&settings)
    return try store(through: proxy?.endpoint, prefix: prefix, settings: settings, observer: observer)
  }
}

extension S3Store {
  func write(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition = .always) throws -> PutOutcome {
    let writer = try openWriter(key)
    try writer.write(bytes)
    return try writer.commit(condition)
  }
}

@Suite("S3 transfers beside each other", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct TransferTests {
  private let moto: Moto
  private let prefix = UUID().uuidString
  private let key: ObjectKey

  init() throws {
    moto = try Moto.smallParts.get()
    key = try ObjectKey("object")
  }

  private func late(_ part: String, milliseconds: Int = 150) throws -> FaultProxy {
    try FaultProxy(to: moto.endpoint) { $0.contains(part) ? .late(milliseconds: milliseconds) : .pass }
  }

  @Test("parts go up beside each other, no more than the lanes and the caller's own, and come back in order")
  func parallelParts() throws {
    let bytes = Bytes.random(20 * 4096 + 77)
    let proxy = try late("partNumber=")
    #expect(try moto.smallStore(through: proxy, prefix: prefix).write(key, bytes) == .written)
    #expect((2...5).contains(proxy.mostAtOnce), "\(proxy.mostAtOnce)")
    #expect(proxy.requests.count { $0.contains("partNumber=") } == 21)
    #expect(try moto.smallStore(prefix: prefix).read(key).readAll(limit: bytes.count, "test") == bytes)
  }

  @Test("windows come down beside each other, ahead of their reader and no further than is said")
  func parallelWindows() throws {
    let bytes = Bytes.random(100_001)
    _ = try moto.smallStore(prefix: prefix).put(key, bytes, .always)
    let proxy = try late("GET ")
    let reader = try moto.smallStore(through: proxy, prefix: prefix).read(key)
    func windows() -> Int { proxy.requests.count { $0.hasPrefix("GET") } }
    var got = try reader.readExactly(10, "test")
    #expect(windows() == 1)
    got += try reader.readExactly(5000, "test")
    // The window that is being read, and those ahead of it; whoever stops here has asked for no more.
    usleep(600_000)
    #expect(windows() <= 2 + S3Reader.readAheadWindows)
    got += try reader.readAll(limit: bytes.count, "test")
    #expect(got == bytes)
    #expect((2...5).contains(proxy.mostAtOnce), "\(proxy.mostAtOnce)")
  }

  @Test("with no lane at all everything still goes, one after another")
  func withoutLanes() throws {
    let bytes = Bytes.random(50_000)
    let proxy = try FaultProxy(to: moto.endpoint, [])
    let store = try moto.smallStore(through: proxy, prefix: prefix) { $0.lanes = 0 }
    #expect(try store.write(key, bytes, .ifAbsent) == .written)
    #expect(try store.read(key).readAll(limit: bytes.count, "test") == bytes)
    #expect(proxy.mostAtOnce == 1)
  }

  @Test("many readers and writers share the lanes")
  func shared() throws {
    let proxy = try FaultProxy(to: moto.endpoint, [])
    let store = try moto.smallStore(through: proxy, prefix: prefix)
    let faults = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { number in
      do {
        let key = try ObjectKey("shared/\(number)")
        let bytes = Bytes.random(30_000 + number)
        guard try store.write(key, bytes, .ifAbsent) == .written,
          try store.read(key).readAll(limit: bytes.count, "test") == bytes
        else { return faults.withLock { $0.append("\(number): other bytes") } }
      } catch { faults.withLock { $0.append("\(number): \(error)") } }
    }
    #expect(faults.withLock { $0 } == [])
    #expect(proxy.mostAtOnce <= 8 + 4)
  }

  @Test("a part that fails ends the others, and takes the upload from the server")
  func failedPart() throws {
    let proxy = try FaultProxy(to: moto.endpoint) {
      $0.contains("partNumber=3&") ? .answer(status: 403, code: "AccessDenied") : .pass
    }
    let store = try moto.smallStore(through: proxy, prefix: prefix)
    let error = try #require(storeFailure { try store.write(key, Bytes.random(100_000)) })
    #expect(error.kind == .denied && error.description.contains("s3:PutObject"), "\(error)")
    let direct = try moto.smallStore(prefix: prefix)
    #expect(try direct.head(key) == nil)
    #expect(try direct.removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  @Test("an abandoned writer ends what is under way and leaves no upload behind")
  func abandoned() throws {
    let proxy = try FaultProxy(to: moto.endpoint) { $0.contains("partNumber=") ? .stall(after: 0) : .pass }
    let writer = try moto.smallStore(through: proxy, prefix: prefix).openWriter(key)
    try writer.write(Bytes.random(3 * 4096))
    writer.abort()
    #expect(try moto.smallStore(prefix: prefix).removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  @Test(
    "an object of more parts than S3 takes is refused with the limit, and the stated limit holds the largest object")
  func partLimit() throws {
    let store = try moto.smallStore(prefix: prefix) { $0.partLimit = 3 }
    #expect(try store.write(key, Bytes.random(3 * 4096), .ifAbsent) == .written)
    let error = try #require(storeFailure { try store.write(try ObjectKey("more"), Bytes.random(3 * 4096 + 1)) })
    #expect(error.kind == .invalid && error.description.contains("3 parts of 4096 bytes"), "\(error)")
    #expect(try store.head(try ObjectKey("more")) == nil)
    #expect(try store.removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  @Test("connections are used again, and one that the server has ended meanwhile costs no attempt")
  func keepAlive() throws {
    let calm = try FaultProxy(to: moto.endpoint, [], keepsAlive: true)
    let store = try moto.smallStore(through: calm, prefix: prefix)
    for number in 0..<10 { _ = try store.put(try ObjectKey("k\(number)"), [1], .ifAbsent) }
    #expect(calm.requests.count == 10)
    #expect(calm.connections == 1)

    let observer = RecordingObserver()
    let rude = try FaultProxy(to: moto.endpoint, Array(repeating: .hangUp, count: 30), keepsAlive: true)
    let other = try moto.smallStore(through: rude, prefix: prefix, observer: observer)
    for number in 0..<5 {
      let key = try ObjectKey("stale\(number)")
      #expect(try other.put(key, [7], .ifAbsent) == .written)
      #expect(try other.getSmall(key) == [7])
    }
    #expect(observer.requests.count == 10)
    #expect(observer.requests.allSatisfy { $0.attempt == 1 && $0.outcome == .ok })
  }
}

@Suite("S3's back-off") struct SharedBackOffTests {
  @Test("doubles with each SlowDown, heeds the server's word, is bounded, and passes")
  func pauses() {
    let instant = Mutex(ContinuousClock.now)
    let backOff = SharedBackOff(now: { instant.withLock { $0 } })
    #expect(backOff.pauseMilliseconds() == 0)
    backOff.slowedDown(retryAfterSeconds: nil)
    #expect((100...125).contains(backOff.pauseMilliseconds()))
    for _ in 0..<4 { backOff.slowedDown(retryAfterSeconds: nil) }
    #expect((1600...2000).contains(backOff.pauseMilliseconds()))
    instant.withLock { $0 += .milliseconds(600) }
    #expect((1000...1250).contains(backOff.pauseMilliseconds()))
    for wild in [3, 1 << 40, -5] { backOff.slowedDown(retryAfterSeconds: wild) }
    #expect((20_000...25_000).contains(backOff.pauseMilliseconds()))
    for _ in 0..<100 { backOff.slowedDown(retryAfterSeconds: .max) }
    #expect(backOff.pauseMilliseconds() <= 25_000)
    instant.withLock { $0 += .seconds(20) }
    #expect(backOff.pauseMilliseconds() == 0)
  }

  @Test("one request's SlowDown holds back another of the same store", .enabled(if: Need.moto.isMet))
  func heldBack() throws {
    let moto = try Moto.open.get()
    // So many that the pause, which nobody waits out here, is longer than any machine takes between two lines.
    let slowDowns = 8
    let proxy = try FaultProxy(
      to: moto.endpoint, Array(repeating: .answer(status: 503, code: "SlowDown"), count: slowDowns))
    let pauses = Mutex<[Int]>([])
    var retry = RetryPolicy()
    retry.attempts = 1
    retry.pause = { milliseconds in pauses.withLock { $0.append(milliseconds) } }
    let store = S3Store(
      try S3Location(bucket: "bucket", prefix: "p", region: "us-east-1", endpoint: proxy.endpoint),
      credentials: FixedCredentials(try moto.credentials()), retry: retry)
    #expect(storeFailure { try store.put(try ObjectKey("a"), [1], .always) }?.kind == .retryable)
    #expect(pauses.withLock { $0 }.isEmpty)
    for _ in 1..<slowDowns {
      #expect(storeFailure { try store.put(try ObjectKey("a"), [1], .always) }?.kind == .retryable)
    }
    let before = pauses.withLock { $0 }.count
    #expect(try store.put(try ObjectKey("b"), [1], .always) == .written)
    #expect(pauses.withLock { $0 }.count == before + 1)
  }
}
