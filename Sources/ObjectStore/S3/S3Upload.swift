import Crypto
import Wire

/// A multipart upload that exists at the server, until it is completed or aborted. Used by one thread at a time; its parts
/// travel on others.
///
/// Invariants: parts keep the numbers in which they were given; no request of the upload is under way any more when its
/// abort is sent, since a part that comes later would stay, and be paid for, unseen.
final class S3Upload {
  private static let idLimitBytes = 2048

  private struct Part: Sendable {
    let etag: String
    let digest: [UInt8]
    /// The server said the digest back. One that does not know checksums takes their name in the completion for a fault.
    let isChecksumKept: Bool
  }

  /// What a part needs to know on whatever thread.
  private struct PartSender: Sendable {
    let client: S3Client
    let key: ObjectKey
    let id: String
    let action: String
    let cancellation: Cancellation

    func send(_ bytes: [UInt8], number: Int) throws -> Part {
      let digest = Array(SHA256.hash(data: bytes))
      let response = try client.send(
        S3Call(
          operation: .uploadPart, key: key, query: [("partNumber", String(number)), ("uploadId", id)], body: bytes,
          bodyDigest: digest, cancellation: cancellation))
      guard let etag = response.headers["etag"], !etag.isEmpty, etag.utf8.count <= 1024 else {
        throw S3Store.strange(action, "a part without ETag")
      }
      return Part(
        etag: etag, digest: digest, isChecksumKept: response.headers[S3Checksum.header] == S3Checksum.text(digest))
    }
  }

  private enum Slot {
    case sent(Part)
    case underWay(Transfer<Part>)
  }

  private let store: S3Store
  private let key: ObjectKey
  private let writeID: String
  private let action: String
  private let id: String
  private let sender: PartSender
  private var slots: [Slot] = []
  /// So many of the first slots are known to be sent.
  private var settled = 0

  /// Begins one.
  init(store: S3Store, key: ObjectKey, writeID: String, action: String) throws {
    self.store = store
    self.key = key
    self.writeID = writeID
    self.action = action
    // Repeated after a lost answer this leaves an upload without parts behind, which costs nothing; ``StaleUploads``
    // removes it, as a bucket's lifecycle rule does.
    let response = try store.client.send(
      S3Call(
        operation: .createUpload, key: key, query: [("uploads", "")],
        headers: [
          (S3Store.writeIDHeader, writeID), (S3Checksum.partHeader, String(store.settings.partBytes)),
          ("content-type", "application/octet-stream"),
        ] + S3Checksum.uploadHeaders))
    let root = try? XMLReader.read(response.body)
    guard root?.name == "InitiateMultipartUploadResult", let id = root?.child("UploadId")?.text, !id.isEmpty,
      id.utf8.count <= Self.idLimitBytes
    else { throw S3Store.strange(action, "an upload without an id") }
    self.id = id
    sender = PartSender(client: store.client, key: key, id: id, action: action, cancellation: Cancellation())
  }

  /// Sends the next part, on a lane or before it returns. Throws also what became of an earlier one.
  func send(_ bytes: [UInt8]) throws {
    guard slots.count < store.settings.partLimit else {
      throw ObjectStoreError(
        .invalid, action,
        "the object is over \(store.settings.partLimit) parts of \(store.settings.partBytes) bytes",
        mend: "split the object")
    }
    try settle(waiting: false)
    let number = slots.count + 1
    if let transfer = store.lanes.start({ [sender] in try sender.send(bytes, number: number) }) {
      slots.append(.underWay(transfer))
    } else {
      slots.append(.sent(try sender.send(bytes, number: number)))
    }
  }

  /// Makes the object of the parts, and waits for them first.
  func complete(_ condition: WriteCondition) throws -> PutOutcome {
    try settle(waiting: true)
    let parts = slots.compactMap { slot -> Part? in if case .sent(let part) = slot { part } else { nil } }
    var xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    for (index, part) in parts.enumerated() {
      xml += "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(Self.escaped(part.etag))</ETag>"
      if part.isChecksumKept { xml += "<ChecksumSHA256>\(S3Checksum.text(part.digest))</ChecksumSHA256>" }
      xml += "</Part>"
    }
    xml += "</CompleteMultipartUpload>"
    let response = try store.client.send(
      S3Call(
        operation: .completeUpload, key: key, query: [("uploadId", id)], headers: S3Store.headers(condition),
        body: Array(xml.utf8), accepted: [200, 404, 412]))
    let result = response.status == 200 ? try? XMLReader.read(response.body) : nil
    if result?.name == "CompleteMultipartUploadResult" {
      try compareChecksum(result?.child("ChecksumSHA256")?.text, parts)
      return .written
    }
    // 412: another was first, or this very request was and its answer was lost. 404: the latter, or somebody removed
    // the upload. 200 and no result: the answer ended too early. What is there now tells.
    let outcome = try store.outcome(key, writeID)
    if let outcome, outcome == .written || condition == .ifAbsent { return outcome }
    throw ObjectStoreError(
      .conflict, action, "the upload was removed under its writer", mend: "begin it again; look at the lifecycle rules")
  }

  /// Ends what is under way, and takes it from the server.
  func abort() {
    cancel()
    var isUncertain = false
    for slot in slots.dropFirst(settled) {
      if case .underWay(let transfer) = slot, case .failure = transfer.wait() { isUncertain = true }
    }
    // The error that led here matters more than whether this succeeds; ``StaleUploads`` takes the rest. A part that was
    // cut off may have reached the server whole, and may still have been being stored at the first abort: S3's own
    // advice is to abort again.
    for _ in 0..<(isUncertain ? 2 : 1) {
      _ = try? store.client.send(
        S3Call(operation: .abortUpload, key: key, query: [("uploadId", id)], accepted: [200, 204, 404]))
    }
  }

  /// Ends what is under way.
  func cancel() { sender.cancellation.cancel() }

  /// Moves what has ended from under way to sent, in order; waits for all of it where told to.
  private func settle(waiting: Bool) throws {
    while settled < slots.count {
      if case .underWay(let transfer) = slots[settled] {
        guard let result = waiting ? transfer.wait() : transfer.result else { return }
        slots[settled] = .sent(try result.get())
      }
      settled += 1
    }
  }

  private func compareChecksum(_ text: String?, _ parts: [Part]) throws {
    guard let text, text.contains("-"), text != S3Checksum.compositeText(parts.map(\.digest)) else { return }
    throw S3Store.strange(action, "a checksum that is not that of the parts")
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
