import Foundation
import TestSupport
import Testing

@testable import ObjectStore

/// Between store and server stands ``FaultProxy``: transfers end right or with the named error, never silently short.
@Suite("S3 store under faults of the network", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct FaultTests {
  private let moto: Moto
  private let prefix = UUID().uuidString
  private let key: ObjectKey

  init() throws {
    moto = try Moto.open.get()
    key = try ObjectKey("object")
  }

  private func direct() throws -> S3Store { try moto.store(prefix: prefix) }

  private func faulty(_ script: [FaultProxy.Fault], stalledSeconds: Int = 60) throws -> (S3Store, FaultProxy) {
    let proxy = try FaultProxy(to: moto.endpoint, script)
    var settings = S3Settings()
    settings.stalledSeconds = stalledSeconds
    settings.testsConditions = false
    return (try moto.store(through: proxy.endpoint, prefix: prefix, settings: settings), proxy)
  }

  @Test("a download goes on behind every kind of break")
  func downloadResumes() throws {
    let bytes = Bytes.random(20 << 20)
    let writer = try direct().openWriter(key)
    try writer.write(bytes)
    _ = try writer.commit(.always)
    let (store, proxy) = try faulty([
      .pass, .cut(after: 1_000_000, reset: true), .answer(status: 503, code: "SlowDown"),
      .cut(after: 100_000, reset: false), .refuse, .cut(after: 0, reset: false), .pass, .duplicate,
      .answer(status: 500, code: "InternalError"), .cut(after: 1, reset: true), .loseAnswer, .drip,
    ])
    #expect(try store.read(key).readAll(limit: bytes.count, "test") == bytes)
    #expect(proxy.requests.count > 8)
  }

  @Test("a small read is whole or an error, wherever it is cut")
  func smallReads() throws {
    let bytes = Bytes.random(5000)
    _ = try direct().put(key, bytes, .always)
    for count in [0, 1, 2500, 4999] {
      for fault in [
        FaultProxy.Fault.cut(after: count, reset: false), .cut(after: count, reset: true), .loseAnswer, .refuse,
        .answer(status: 503, code: "SlowDown"), .duplicate,
      ] {
        let (store, _) = try faulty([fault, fault])
        #expect(try store.getSmall(key) == bytes, "\(fault)")
      }
      let (store, _) = try faulty([.hideLengthAndCut(after: count)])
      #expect(storeFailure { try store.getSmall(key) }?.kind == .invalid)
    }
  }

  @Test("a range that comes shorter than asked, with lengths that agree, is refused")
  func shortenedRange() throws {
    _ = try direct().put(key, Bytes.random(5000), .always)
    for fault in [FaultProxy.Fault.shorten(by: 1), .shorten(by: 4999), .hideLengthAndCut(after: 4000)] {
      let (store, _) = try faulty([.pass, fault])
      #expect(storeFailure { try store.read(key).readAll(limit: 5000, "test") }?.kind == .invalid, "\(fault)")
    }
  }

  @Test("a server that never recovers ends in a retryable error that names it")
  func neverRecovers() throws {
    _ = try direct().put(key, Bytes.random(5000), .always)
    for fault in [
      FaultProxy.Fault.answer(status: 503, code: "SlowDown"), .cut(after: 0, reset: true), .refuse, .loseAnswer,
    ] {
      let (reading, _) = try faulty([.pass] + Array(repeating: fault, count: 20))
      let error = try #require(storeFailure { try reading.read(key).readAll(limit: 5000, "test") })
      #expect(error.kind == .retryable && error.description.contains("object"), "\(error)")
      let (writing, proxy) = try faulty(Array(repeating: fault, count: 20))
      #expect(storeFailure { try writing.put(key, [1], .ifAbsent) }?.kind == .retryable)
      #expect(proxy.requests.count <= RetryPolicy().attempts)
    }
  }

  @Test("what trying again cannot mend is tried once")
  func notRetried() throws {
    for (status, code, kind) in [
      (403, "AccessDenied", ObjectStoreError.Kind.denied), (403, "RequestTimeTooSkewed", .denied),
      (400, "ExpiredToken", .denied), (403, "InvalidAccessKeyId", .denied), (301, "PermanentRedirect", .invalid),
      (400, "AuthorizationHeaderMalformed", .invalid), (400, "EntityTooLarge", .invalid),
      (404, "NoSuchBucket", .notFound), (403, "InvalidObjectState", .invalid),
    ] {
      let (store, proxy) = try faulty([.answer(status: status, code: code)])
      let error = try #require(storeFailure { try store.put(key, [1], .ifAbsent) })
      #expect(error.kind == kind, "\(error)")
      #expect(error.isOfStore != ["AccessDenied", "EntityTooLarge", "InvalidObjectState"].contains(code), "\(error)")
      #expect(proxy.requests.count == 1)
      #expect(try direct().head(key) == nil)
    }
    let (store, _) = try faulty([.answer(status: 403, code: "AccessDenied")])
    let error = try #require(storeFailure { try store.put(key, [1], .always) })
    #expect(error.description.contains("s3:PutObject"))
  }

  @Test("a conditional write whose answer was lost still has exactly one winner")
  func lostAnswers() throws {
    let (store, _) = try faulty([.loseAnswer])
    #expect(try store.put(key, [1], .ifAbsent) == .written)
    let (rival, _) = try faulty([.loseAnswer, .loseAnswer])
    #expect(try rival.put(key, [1], .ifAbsent) == .alreadyExists)
    #expect(try direct().getSmall(key) == [1])
  }

  @Test("a multipart upload survives the loss of any one request or answer")
  func multipartFaults() throws {
    let bytes = Bytes.random(9 << 20)
    for position in 0..<4 {
      let other = position.isMultiple(of: 2) ? FaultProxy.Fault.refuse : .answer(status: 503, code: "SlowDown")
      for fault in [FaultProxy.Fault.loseAnswer, other] {
        let key = try ObjectKey("multipart-\(position)-\(UUID().uuidString)")
        let (store, proxy) = try faulty(Array(repeating: .pass, count: position) + [fault])
        let writer = try store.openWriter(key)
        try writer.write(bytes)
        #expect(try writer.commit(.ifAbsent) == .written, "\(position) \(fault)")
        #expect(proxy.requests.count >= 4)
        #expect(try direct().read(key).readAll(limit: bytes.count, "test") == bytes)
      }
    }
  }

  @Test("an upload that fails is aborted and leaves no object")
  func failedUpload() throws {
    let (store, proxy) = try faulty([.pass, .pass, .answer(status: 403, code: "AccessDenied")])
    let writer = try store.openWriter(key)
    try writer.write(Bytes.random(9 << 20))
    #expect(storeFailure { try writer.commit(.always) }?.kind == .denied)
    #expect(proxy.requests.last?.hasPrefix("DELETE") == true)
    #expect(try direct().head(key) == nil)
    #expect(storeFailure { try writer.write([1]) }?.kind == .invalid)
  }

  @Test("a transfer that stands still is given up and goes on elsewhere")
  func stalls() throws {
    let bytes = Bytes.random(100_000)
    _ = try direct().put(key, bytes, .always)
    let (store, _) = try faulty([.pass, .stall(after: 50_000)], stalledSeconds: 3)
    #expect(try store.read(key).readAll(limit: bytes.count, "test") == bytes)
  }

  @Test("an object that is replaced or removed under a reader is an error that says so")
  func replacedUnderReader() throws {
    for remove in [false, true] {
      _ = try direct().put(key, Bytes.random(9 << 20), .always)
      let reader = try direct().read(key)
      _ = try reader.readExactly(10, "test")
      if remove { try direct().delete(key) } else { _ = try direct().put(key, Bytes.random(9 << 20), .always) }
      let error = try #require(storeFailure { try reader.readAll(limit: 10 << 20, "test") })
      #expect(error.kind == .conflict && error.description.contains("replaced or removed"), "\(error)")
    }
  }
}
