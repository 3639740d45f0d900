import Crypto
import FoundationEssentials
import Wire

/// Writes an object of unknown length: a single PUT as long as it fits one part, a multipart upload otherwise. Holds one
/// part in memory. What fails is aborted on the server, as far as that can still be reached.
final class S3Writer: ObjectWriter {
  static let partBytes = 8 << 20
  /// S3's limit; with it an object has at most 80 GiB.
  static let partLimit = 10_000
  private static let uploadIDLimitBytes = 2048

  private enum State {
    /// Nothing has been sent. Goes to `uploading` at the first full part, or to `ended`.
    case collecting
    /// Parts are at the server. Goes to `ended`.
    case uploading(id: String, parts: [Part])
    /// Committed, aborted or failed.
    case ended
  }

  private struct Part {
    let etag: String
    let sha256: String
  }

  private(set) var count: UInt64 = 0
  private let store: S3Store
  private let key: ObjectKey
  private let writeID = S3Store.newWriteID()
  private let action: String
  private var state = State.collecting
  private var buffer: [UInt8] = []

  init(store: S3Store, key: ObjectKey) {
    self.store = store
    self.key = key
    action = "write \(store.location)\(key)"
  }

  func write(_ bytes: [UInt8]) throws {
    try orAbort {
      try requireOpen()
      var rest = bytes[...]
      while !rest.isEmpty {
        if buffer.count == Self.partBytes { try sendPart() }
        let piece = rest.prefix(Self.partBytes - buffer.count)
        buffer += piece
        rest = rest.dropFirst(piece.count)
      }
      count += UInt64(bytes.count)
    }
  }

  func commit(_ condition: WriteCondition) throws -> PutOutcome {
    try orAbort {
      try requireOpen()
      if case .collecting = state {
        let outcome = try store.put(key, buffer, condition)
        end()
        return outcome
      }
      if !buffer.isEmpty { try sendPart() }
      let outcome = try complete(condition)
      // A loser's parts are still there.
      if outcome == .written { end() } else { abort() }
      return outcome
    }
  }

  func abort() {
    if case .uploading(let id, _) = state {
      // The error that led here matters more than whether this succeeds; the bucket's lifecycle rule takes the rest.
      _ = try? store.client.send(
        S3Call(
          permission: "s3:AbortMultipartUpload", method: .delete, key: key, query: [("uploadId", id)],
          accepted: [200, 204, 404]))
    }
    end()
  }

  private func end() {
    state = .ended
    buffer = []
  }

  private func requireOpen() throws {
    guard case .ended = state else { return }
    throw ObjectStoreError(.invalid, action, "the writer has ended", mend: "report this: it is a fault in the program")
  }

  private func orAbort<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch {
      abort()
      throw error
    }
  }

  /// Sends the buffer as the next part, and begins the upload before the first.
  private func sendPart() throws {
    var (id, parts): (String, [Part])
    switch state {
    case .uploading(let known, let sent): (id, parts) = (known, sent)
    case .collecting, .ended: (id, parts) = (try begin(), [])
    }
    // So that a failure of this part finds the upload to abort.
    state = .uploading(id: id, parts: parts)
    guard parts.count < Self.partLimit else {
      throw ObjectStoreError(
        .invalid, action, "over \(Self.partLimit) parts of \(Self.partBytes) bytes", mend: "split the object")
    }
    let response = try store.client.send(
      S3Call(
        permission: "s3:PutObject", method: .put, key: key,
        query: [("partNumber", String(parts.count + 1)), ("uploadId", id)], body: buffer))
    guard let etag = response.headers["etag"], !etag.isEmpty else {
      throw S3Store.strange(action, "a part without ETag")
    }
    parts.append(Part(etag: etag, sha256: Data(Array(SHA256.hash(data: buffer))).base64EncodedString()))
    state = .uploading(id: id, parts: parts)
    buffer.removeAll(keepingCapacity: true)
  }

  private func begin() throws -> String {
    // Repeated after a lost answer this leaves an empty upload behind, which costs nothing.
    let response = try store.client.send(
      S3Call(
        permission: "s3:PutObject", method: .post, key: key, query: [("uploads", "")],
        headers: [
          (S3Store.writeIDHeader, writeID), ("x-amz-checksum-algorithm", "SHA256"),
          ("content-type", "application/octet-stream"),
        ]))
    let root = try? XMLReader.read(response.body)
    guard root?.name == "InitiateMultipartUploadResult", let id = root?.child("UploadId")?.text, !id.isEmpty,
      id.utf8.count <= Self.uploadIDLimitBytes
    else { throw S3Store.strange(action, "an upload without an id") }
    return id
  }

  private func complete(_ condition: WriteCondition) throws -> PutOutcome {
    guard case .uploading(let id, let parts) = state else { return .alreadyExists }
    var xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    for (index, part) in parts.enumerated() {
      xml += "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(Self.escaped(part.etag))</ETag>"
      xml += "<ChecksumSHA256>\(part.sha256)</ChecksumSHA256></Part>"
    }
    xml += "</CompleteMultipartUpload>"
    let response = try store.client.send(
      S3Call(
        permission: "s3:PutObject", method: .post, key: key, query: [("uploadId", id)],
        headers: S3Store.headers(condition), body: Array(xml.utf8), accepted: [200, 404, 412]))
    if response.status == 200 { return .written }
    // 412: another was first, or this very request was and its answer was lost. 404: the latter, or somebody removed
    // the upload. What is there now tells.
    let outcome = try store.outcome(key, writeID)
    if let outcome, outcome == .written || condition == .ifAbsent { return outcome }
    throw ObjectStoreError(
      .conflict, action, "the upload was removed under its writer", mend: "begin it again; look at the lifecycle rules")
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
