import Glibc
import SealedCrypto
import Wire

/// A store in an S3 bucket, or in any server that speaks S3, below a key prefix.
///
/// Invariants:
/// - every request is signed (body included) and carries `x-amz-checksum-sha256` where it has content;
/// - `.ifAbsent` is `If-None-Match: *`. A write whose answer was lost is repeated; when the repetition finds an object,
///   its ``writeIDHeader`` tells whether it is this very call's, so still exactly one writer is told that it won;
/// - downloads compare every length that they are told, and go on after a broken connection by `Range` and `If-Match`.
package struct S3Store: ObjectStore {
  /// Metadata that names one write call.
  static let writeIDHeader = "x-amz-meta-ephemeralml-write"

  package var location: String {
    let name = client.location.name
    return name.hasSuffix("/") ? String(name.dropLast()) : name
  }
  let client: S3Client

  /// - Parameters:
  ///   - retry: for faults that may pass.
  ///   - stalledSeconds: a transfer of less than a kilobyte a second for so long is given up.
  ///   - now: seconds since 1970.
  package init(
    _ location: S3Location, credentials: any CredentialSource, retry: RetryPolicy = RetryPolicy(),
    stalledSeconds: Int = 60, now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) {
    client = S3Client(
      location, credentials: credentials, timeouts: HTTPTimeouts(stalledSeconds: stalledSeconds), retry: retry,
      now: now)
  }

  package func head(_ key: ObjectKey) throws -> ObjectInfo? {
    let response = try headResponse(key)
    return response.status == 404 ? nil : try info(key, response)
  }

  package func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader {
    let action = "GET \(location)\(key)"
    guard let info = try head(key) else {
      throw ObjectStoreError(.notFound, action, "there is no such object", mend: "check the name")
    }
    return S3Reader(client: client, info: info, range: try Self.resolve(range, of: info, action), action: action)
  }

  package func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] {
    let response = try client.send(
      S3Call(permission: "s3:GetObject", method: .get, key: key, responseLimit: max(limit, 0)))
    // Without a length curl takes the connection's end for the object's.
    guard let length = response.headers["content-length"], Int(length) == response.body.count else {
      throw Self.strange("GET \(location)\(key)", "an answer without its length")
    }
    return response.body
  }

  package func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    let writeID = Self.newWriteID()
    let response = try client.send(
      S3Call(
        permission: "s3:PutObject", method: .put, key: key,
        headers: [(Self.writeIDHeader, writeID)] + Self.headers(condition), body: bytes,
        accepted: condition == .ifAbsent ? [200, 412] : [200]))
    if response.status == 200 { return .written }
    guard let outcome = try outcome(key, writeID) else {
      throw ObjectStoreError(
        .conflict, "PUT \(location)\(key)", "an object was there and is gone again", mend: "try again")
    }
    return outcome
  }

  package func openWriter(_ key: ObjectKey) throws -> any ObjectWriter { S3Writer(store: self, key: key) }

  package func delete(_ key: ObjectKey) throws {
    _ = try client.send(
      S3Call(permission: "s3:DeleteObject", method: .delete, key: key, accepted: [200, 204, 404]))
  }

  /// After a condition did not hold: whether the object that is there came from the call `writeID`; nil when there is
  /// none.
  func outcome(_ key: ObjectKey, _ writeID: String) throws -> PutOutcome? {
    let response = try headResponse(key)
    if response.status == 404 { return nil }
    return response.headers[Self.writeIDHeader] == writeID ? .written : .alreadyExists
  }

  static func newWriteID() -> String { Hex.encode((0..<16).map { _ in UInt8.random(in: .min ... .max) }) }

  static func headers(_ condition: WriteCondition) -> [(String, String)] {
    switch condition {
    case .always: []
    case .ifAbsent: [("if-none-match", "*")]
    }
  }

  /// The server does not do what S3 does.
  static func strange(_ action: String, _ what: String) -> ObjectStoreError {
    ObjectStoreError(
      .invalid, action, "\(what), which S3 does not send", mend: "check the endpoint and what it supports")
  }

  private func headResponse(_ key: ObjectKey) throws -> HTTPResponse {
    try client.send(S3Call(permission: "s3:GetObject", method: .head, key: key, accepted: [200, 404]))
  }

  private func info(_ key: ObjectKey, _ response: HTTPResponse) throws -> ObjectInfo {
    guard let length = response.headers["content-length"].flatMap({ UInt64($0) }),
      let etag = response.headers["etag"], !etag.isEmpty,
      let modified = response.headers["last-modified"].flatMap(HTTPDate.compact).flatMap(SigV4Date.seconds)
    else { throw Self.strange("HEAD \(location)\(key)", "an object without length, ETag or date") }
    return ObjectInfo(key: key, bytes: length, version: etag, modified: modified)
  }
}
