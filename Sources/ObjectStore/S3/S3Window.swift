import Wire

/// One range of an object, fetched whole.
///
/// It names the version (`If-Match`) and must come as exactly the bytes that were asked for. What came before a
/// connection broke is kept, and the next request goes on behind it. Attempts are counted only while nothing comes.
struct S3Window: Sendable {
  let client: S3Client
  let info: ObjectInfo
  /// For people: `GET s3://bucket/key`.
  let action: String
  /// Not empty.
  let range: Range<UInt64>
  let cancellation: Cancellation

  func fetch() throws -> [UInt8] {
    let wanted = Int(range.upperBound - range.lowerBound)
    var bytes: [UInt8] = []
    var fruitless = 0
    while bytes.count < wanted {
      let first = range.lowerBound + UInt64(bytes.count)
      let left = wanted - bytes.count
      let call = S3Call(
        operation: .getObject, key: info.key,
        headers: [("range", "bytes=\(first)-\(range.upperBound - 1)"), ("if-match", info.version)],
        responseLimit: left, accepted: [206], cancellation: cancellation)
      switch try client.attemptOnce(call, attempt: fruitless + 1) {
      case .answered(let response):
        // curl holds a connection's end before Content-Length to be an error; without one it could not know.
        guard response.body.count == left else {
          throw S3Store.strange(action, "\(response.body.count) bytes for a range of \(left)")
        }
        try take(response, at: first, &bytes)
      case .failed(_, let partial?) where partial.status == 206 && !partial.body.isEmpty:
        guard !cancellation.isCancelled else { throw S3Store.givenUp(action) }
        try take(partial, at: first, &bytes)
        fruitless = 0
      case .failed(let fault, _):
        fruitless += 1
        guard fault.isRetryable, fruitless < client.retry.attempts, !cancellation.isCancelled else {
          throw describe(fault, at: first)
        }
        client.retry.waitAfter(fruitless)
      }
    }
    return bytes
  }

  private func take(_ response: HTTPResponse, at first: UInt64, _ bytes: inout [UInt8]) throws {
    guard response.headers["content-range"] == "bytes \(first)-\(range.upperBound - 1)/\(info.bytes)" else {
      throw S3Store.strange(action, "another range than was asked for")
    }
    if bytes.isEmpty { bytes = response.body } else { bytes += response.body }
  }

  private func describe(_ fault: S3Fault, at first: UInt64) -> ObjectStoreError {
    switch fault.error.kind {
    case .conflict, .notFound:
      ObjectStoreError(
        .conflict, action, "the object was replaced or removed while it was read, at byte \(first) of \(info.bytes)",
        mend: "read it again from the beginning")
    default: fault.error
    }
  }
}
