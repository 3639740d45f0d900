import Wire

/// Reads an object of S3 by ranged requests, one window at a time, so that a slow reader holds no connection and memory
/// stays at one window.
///
/// Every window names the version (`If-Match`) and must come as exactly the bytes that were asked for. What came before
/// a connection broke is kept, and the next request goes on behind it. Attempts are counted only while nothing comes.
final class S3Reader: ObjectReader {
  static let windowBytes: UInt64 = 8 << 20

  let info: ObjectInfo
  private let client: S3Client
  private let action: String
  /// The next byte to ask for.
  private var position: UInt64
  private let end: UInt64
  private var window: [UInt8] = []
  private var taken = 0
  private var fruitlessAttempts = 0

  init(client: S3Client, info: ObjectInfo, range: Range<UInt64>, action: String) {
    self.client = client
    self.info = info
    self.action = action
    position = range.lowerBound
    end = range.upperBound
  }

  func read(upTo count: Int) throws -> [UInt8] {
    guard count > 0 else { return [] }
    while taken == window.count {
      guard position < end else { return [] }
      try fetch()
    }
    let piece = Array(window[taken..<min(taken + count, window.count)])
    taken += piece.count
    return piece
  }

  /// Asks for the next window and takes what comes of it, perhaps nothing.
  private func fetch() throws {
    let last = min(position + Self.windowBytes, end) - 1
    let wanted = Int(last - position) + 1
    let call = S3Call(
      permission: "s3:GetObject", method: .get, key: info.key,
      headers: [("range", "bytes=\(position)-\(last)"), ("if-match", info.version)], responseLimit: wanted,
      accepted: [206])
    switch try client.attemptOnce(call) {
    case .answered(let response):
      try take(response, last: last)
      // curl holds a connection's end before Content-Length to be an error; without one it could not know.
      guard window.count == wanted else {
        throw S3Store.strange(action, "\(window.count) bytes for a range of \(wanted)")
      }
    case .failed(let fault, let partial):
      if let partial, partial.status == 206, !partial.body.isEmpty { return try take(partial, last: last) }
      fruitlessAttempts += 1
      guard fault.isRetryable, fruitlessAttempts < client.retry.attempts else { throw describe(fault) }
      client.retry.waitAfter(fruitlessAttempts)
    }
  }

  private func take(_ response: HTTPResponse, last: UInt64) throws {
    guard response.headers["content-range"] == "bytes \(position)-\(last)/\(info.bytes)" else {
      throw S3Store.strange(action, "another range than was asked for")
    }
    window = response.body
    taken = 0
    position += UInt64(window.count)
    fruitlessAttempts = 0
  }

  private func describe(_ fault: S3Fault) -> ObjectStoreError {
    switch fault.error.kind {
    case .conflict, .notFound:
      ObjectStoreError(
        .conflict, action, "the object was replaced or removed while it was read, at byte \(position) of \(info.bytes)",
        mend: "read it again from the beginning")
    default: fault.error
    }
  }
}
