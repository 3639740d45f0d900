import Glibc
import SealedCrypto
import Wire

/// A store in an S3 bucket, or in any server that speaks S3, below a key prefix.
///
/// Invariants:
/// - every request is signed (body included) and carries `x-amz-checksum-sha256` where it has content;
/// - `.ifAbsent` is `If-None-Match: *`. A write whose answer was lost is repeated; when the repetition finds an object,
///   its ``writeIDHeader`` tells whether it is this very call's, so still exactly one writer is told that it won;
/// - a server that is not AWS is asked once whether it holds to such conditions (``ConditionTest``), and refused if not;
/// - downloads compare every length and SHA-256 that they are told, and go on after a broken connection by `Range` and
///   `If-Match`.
package struct S3Store: ObjectStore {
  /// Metadata that names one write call.
  static let writeIDHeader = "x-amz-meta-ephemeralml-write"

  package var location: String {
    let name = client.location.name
    return name.hasSuffix("/") ? String(name.dropLast()) : name
  }
  /// Whether the endpoint is AWS's own.
  package var isAWS: Bool { client.location.isAWS }
  let client: S3Client
  let settings: S3Settings
  let lanes: TransferLanes
  let conditions: ConditionTest
  let now: @Sendable () -> Int64

  /// - Parameters:
  ///   - retry: for faults that may pass.
  ///   - observer: sees every request.
  ///   - now: seconds since 1970.
  package init(
    _ location: S3Location, credentials: any CredentialSource, retry: RetryPolicy = RetryPolicy(),
    settings: S3Settings = S3Settings(), observer: any StoreObserver = NoStoreObserver(),
    now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) {
    self.settings = settings
    self.now = now
    client = S3Client(
      location, credentials: credentials, timeouts: HTTPTimeouts(stalledSeconds: settings.stalledSeconds),
      retry: retry, observer: observer, now: now)
    lanes = TransferLanes(count: settings.lanes)
    conditions = ConditionTest(client, isNeeded: settings.testsConditions && !location.isAWS)
  }

  package func head(_ key: ObjectKey) throws -> ObjectInfo? {
    let response = try headResponse(key)
    return response.status == 404 ? nil : try info(key, response)
  }

  package func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader {
    let action = "GET \(location)\(key)"
    let response = try headResponse(key)
    guard response.status != 404 else {
      throw ObjectStoreError(.notFound, action, "there is no such object", mend: "check the name")
    }
    let info = try info(key, response)
    return S3Reader(
      store: self, info: info, range: try Self.resolve(range, of: info, action),
      checksum: S3Checksum(response.headers, bytes: info.bytes), action: action)
  }

  package func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] {
    let response = try client.send(
      S3Call(operation: .getObject, key: key, headers: [S3Checksum.modeHeader], responseLimit: max(limit, 0)))
    // Without a length curl takes the connection's end for the object's.
    guard let length = response.headers["content-length"], Int(length) == response.body.count else {
      throw Self.strange("GET \(location)\(key)", "an answer without its length")
    }
    if let checksum = S3Checksum(response.headers, bytes: UInt64(response.body.count)) {
      var meter = S3ChecksumMeter(checksum)
      meter.update(response.body)
      guard meter.isRight() else { throw Self.damaged("GET \(location)\(key)") }
    }
    return response.body
  }

  package func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    if condition == .ifAbsent { try conditions.require(.put, for: key) }
    let writeID = Self.newWriteID()
    let response = try client.send(
      S3Call(
        operation: .putObject, key: key, headers: [(Self.writeIDHeader, writeID)] + Self.headers(condition),
        body: bytes, accepted: condition == .ifAbsent ? [200, 412] : [200]))
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
      S3Call(operation: .deleteObject, key: key, accepted: [200, 204, 404]))
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

  /// Its bytes are not those that were written.
  static func damaged(_ action: String) -> ObjectStoreError {
    ObjectStoreError(
      .invalid, action, "its bytes are not those that the store's own SHA-256 speaks of",
      mend: "the object is damaged in the store or on the way: restore it, and look at the store's disks and proxies",
      by: .operator_)
  }

  /// Whoever asked for it has gone.
  static func givenUp(_ action: String) -> ObjectStoreError {
    ObjectStoreError(.retryable, action, "it was given up by its caller", mend: "begin it again", by: .you)
  }

  private func headResponse(_ key: ObjectKey) throws -> HTTPResponse {
    try client.send(S3Call(operation: .headObject, key: key, headers: [S3Checksum.modeHeader], accepted: [200, 404]))
  }

  private func info(_ key: ObjectKey, _ response: HTTPResponse) throws -> ObjectInfo {
    guard let length = response.headers["content-length"].flatMap(ObjectInfo.length),
      let etag = response.headers["etag"], !etag.isEmpty,
      let modified = response.headers["last-modified"].flatMap(HTTPDate.compact).flatMap(SigV4Date.seconds)
    else { throw Self.strange("HEAD \(location)\(key)", "an object without length, ETag or date") }
    return ObjectInfo(key: key, bytes: length, version: etag, modified: modified)
  }
}
