import Synchronization

/// Whether a server holds to `If-None-Match: *`, on which rests that of all writers exactly one wins.
///
/// AWS does since 2024. Other servers may ignore the header, and would then replace a commit without a word; so before the
/// first conditional write of a process such a server is put to the test, with objects of the store's own name
/// (`.ephemeralml-probe`, never listed) in the folder of the object that is to be written. They stay: the next test finds
/// its object there, and two processes do not disturb each other.
final class ConditionTest: Sendable {
  /// What is written under the condition.
  enum Subject: String, Sendable, CaseIterable {
    case put = "PutObject"
    case completion = "CompleteMultipartUpload"
  }

  /// What is known of a subject.
  enum Verdict: Sendable, Equatable {
    case honoured
    /// The server replaces what is there.
    case ignored
    /// The server refuses the request as one that it does not know.
    case unsupported
    /// These credentials may not write the probe: whoever runs the host may, and finds out.
    case untested
  }

  static let name = "probe"
  /// 400 and 501 are what servers say to a header that they do not implement.
  private static let accepted: Set<Int> = [200, 400, 412, 501]
  private let client: S3Client
  private let isNeeded: Bool
  private let known = Mutex<[Subject: Verdict]>([:])
  /// Held over a test, so that a process makes one.
  private let testing = Mutex(())

  /// - Parameter isNeeded: false where the server is known to hold to them.
  init(_ client: S3Client, isNeeded: Bool) {
    self.client = client
    self.isNeeded = isNeeded
  }

  /// - Throws: ``ObjectStoreError`` of kind `invalid` when the server ignores conditions; whatever a request throws that
  ///   leaves it open.
  func require(_ subject: Subject, for key: ObjectKey) throws {
    guard isNeeded else { return }
    let how: String
    switch try verdict(of: subject, beside: key) {
    case .honoured, .untested: return
    case .ignored: how = "ignores"
    case .unsupported: how = "does not support"
    }
    throw ObjectStoreError(
      .invalid, "write \(client.location.name)\(key)",
      "the server \(how) If-None-Match on \(subject.rawValue), so it cannot keep two writers apart",
      mend: "take a server that holds to it (docs/operations/stores.md lists what was tried)", by: .operator_)
  }

  /// Tests the server, once for all.
  func verdict(of subject: Subject, beside key: ObjectKey) throws -> Verdict {
    try testing.withLock { _ in
      if let verdict = known.withLock({ $0[subject] }) { return verdict }
      let probe = ObjectKey.reserved(Self.name, beside: key)
      let verdict: Verdict
      do {
        verdict = try subject == .put ? testPut(probe) : testCompletion(probe)
      } catch let error as ObjectStoreError where error.kind == .denied {
        verdict = .untested
      }
      known.withLock { $0[subject] = verdict }
      return verdict
    }
  }

  /// Writes twice: the second must be refused. (The first is, where a test was before.)
  private func testPut(_ probe: ObjectKey) throws -> Verdict {
    for _ in 0..<2 {
      switch try put(probe) {
      case 412: return .honoured
      case 200: continue
      default: return .unsupported
      }
    }
    return .ignored
  }

  private func put(_ probe: ObjectKey) throws -> Int {
    try client.send(
      S3Call(
        operation: .putObject, key: probe, headers: S3Store.headers(.ifAbsent),
        accepted: Self.accepted)
    ).status
  }

  /// Completes an upload of one byte onto an object that is there.
  private func testCompletion(_ probe: ObjectKey) throws -> Verdict {
    if case let status = try put(probe), status != 200, status != 412 {
      // Without a condition, where the server knows none there.
      _ = try client.send(S3Call(operation: .putObject, key: probe))
    }
    let begun = try client.send(S3Call(operation: .createUpload, key: probe, query: [("uploads", "")]))
    guard let id = (try? XMLReader.read(begun.body))?.child("UploadId")?.text, !id.isEmpty, id.utf8.count <= 2048
    else { throw S3Store.strange("write \(client.location.name)\(probe)", "an upload without an id") }
    func abort() {
      _ = try? client.send(
        S3Call(operation: .abortUpload, key: probe, query: [("uploadId", id)], accepted: [200, 204, 404]))
    }
    do {
      let part = try client.send(
        S3Call(operation: .uploadPart, key: probe, query: [("partNumber", "1"), ("uploadId", id)], body: [0]))
      let etag = part.headers["etag"] ?? ""
      let xml =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber>"
        + "<ETag>\(S3Upload.escaped(etag))</ETag></Part></CompleteMultipartUpload>"
      let status = try client.send(
        S3Call(
          operation: .completeUpload, key: probe, query: [("uploadId", id)], headers: S3Store.headers(.ifAbsent),
          body: Array(xml.utf8), accepted: Self.accepted.union([404]))
      ).status
      if status != 200 { abort() }
      switch status {
      case 412: return .honoured
      // 404: a repetition found the upload gone, so the first request completed it.
      case 200, 404: return .ignored
      default: return .unsupported
      }
    } catch {
      abort()
      throw error
    }
  }
}
