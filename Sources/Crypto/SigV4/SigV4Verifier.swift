import Wire

/// Why a request's signature was not accepted. Says what is wrong, never what the right signature would have been.
package enum SigV4Refusal: Error, Equatable, CustomStringConvertible, Sendable {
  /// No `Authorization`, or none of this algorithm.
  case notSigned
  /// A part that is missing or cannot be read.
  case malformed(String)
  /// An access key id that nobody has.
  case unknownAccessKey(String)
  /// Signed for another day, region or service.
  case wrongScope(String)
  /// Signed too far from this clock, in seconds (negative: in the past).
  case clockSkew(Int64)
  /// A header that must be covered is not.
  case unsignedHeader(String)
  /// `x-amz-content-sha256` is not the digest of the body.
  case wrongPayloadDigest
  /// Everything is in place, but the signature is not that of this request and this key.
  case wrongSignature

  package var description: String {
    switch self {
    case .notSigned: "the request is not signed with \(SigV4Scope.algorithm)"
    case .malformed(let part): "the signature's \(part) is missing or malformed"
    case .unknownAccessKey(let id): "no such access key: \(id)"
    case .wrongScope(let scope): "signed for \(scope), which is not this service, region and day"
    case .clockSkew(let seconds): "signed \(seconds) s from the server's clock: set the clock"
    case .unsignedHeader(let name): "the header \(name) is not covered by the signature"
    case .wrongPayloadDigest: "x-amz-content-sha256 is not the digest of the body"
    case .wrongSignature: "the signature does not match: wrong secret key, or the request was changed"
    }
  }
}

/// The server's side of ``SigV4Signer``, strict: one `Authorization` header, body always covered, `host` and every
/// `x-amz-*` header signed, a clock skew of at most five minutes, comparison in constant time.
package struct SigV4Verifier: Sendable {
  /// AWS's own tolerance for non-S3 services.
  package static let skewLimitSeconds: Int64 = 300

  private let region: String
  private let service: String
  private let secret: @Sendable (String) -> SecretBytes?

  /// - Parameter secret: the secret access key of an access key id, or nil when there is none.
  package init(region: String, service: String, secret: @escaping @Sendable (String) -> SecretBytes?) {
    self.region = region
    self.service = service
    self.secret = secret
  }

  /// Who signed this request.
  ///
  /// - Parameters:
  ///   - target: path and query exactly as they came, escaped.
  ///   - headers: all that came, `host` among them.
  ///   - now: seconds since 1970.
  /// - Returns: the access key id.
  /// - Throws: ``SigV4Refusal``.
  package func verify(
    method: String, target: String, headers: [(String, String)], body: [UInt8], now: Int64
  ) throws -> String {
    let authorization = try Authorization(Self.only("authorization", headers))
    guard let timestamp = try? Self.only("x-amz-date", headers), let signedAt = SigV4Date.seconds(timestamp) else {
      throw SigV4Refusal.malformed("x-amz-date")
    }
    guard abs(signedAt - now) <= Self.skewLimitSeconds else { throw SigV4Refusal.clockSkew(signedAt - now) }
    let scope = SigV4Scope(day: String(timestamp.prefix(8)), region: region, service: service)
    guard scope.text == authorization.scope else { throw SigV4Refusal.wrongScope(authorization.scope) }
    guard let secret = secret(authorization.accessKeyID) else {
      throw SigV4Refusal.unknownAccessKey(authorization.accessKeyID)
    }

    let covered = Set(authorization.signedHeaders)
    for name in headers.map({ $0.0.lowercased() }) + ["host"] where name == "host" || name.hasPrefix("x-amz-") {
      guard covered.contains(name) else { throw SigV4Refusal.unsignedHeader(name) }
    }
    let payload = SigV4Payload.body(body)
    for (name, value) in headers where name.lowercased() == "x-amz-content-sha256" && value != payload.text {
      throw SigV4Refusal.wrongPayloadDigest
    }
    let (path, query) = try Self.split(target)
    let request = SigV4Request(
      method: method, path: path, query: query, headers: headers.filter { covered.contains($0.0.lowercased()) },
      payload: payload.text)
    // Also catches a header that is said to be covered but did not come.
    guard request.signedHeaders == authorization.signedHeaders.joined(separator: ";") else {
      throw SigV4Refusal.malformed("SignedHeaders")
    }
    let expected = scope.signature(request, timestamp: timestamp, secret: secret)
    guard Self.equalInConstantTime(expected, authorization.signature) else { throw SigV4Refusal.wrongSignature }
    return authorization.accessKeyID
  }

  private static func only(_ name: String, _ headers: [(String, String)]) throws -> String {
    let values = headers.filter { $0.0.lowercased() == name }
    guard let value = values.first else { throw SigV4Refusal.notSigned }
    guard values.count == 1 else { throw SigV4Refusal.malformed(name) }
    return value.1
  }

  private static func split(_ target: String) throws -> (path: String, query: [(String, String)]) {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let path = SigV4Encoding.unescape(first) else {
      throw SigV4Refusal.malformed("path")
    }
    guard parts.count == 2, !parts[1].isEmpty else { return (path, []) }
    let query = try parts[1].split(separator: "&", omittingEmptySubsequences: true).map { pair in
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = halves.first.flatMap(SigV4Encoding.unescape),
        let value = SigV4Encoding.unescape(halves.count == 2 ? halves[1] : "")
      else { throw SigV4Refusal.malformed("query") }
      return (name, value)
    }
    return (path, query)
  }

  /// No early exit: how long it takes says nothing of where they differ. The lengths are public.
  private static func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}

/// The parsed `Authorization` header: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
private struct Authorization {
  let accessKeyID: String
  let scope: String
  let signedHeaders: [String]
  let signature: [UInt8]

  init(_ header: String) throws {
    guard header.utf8.count <= 8192, header.hasPrefix(SigV4Scope.algorithm + " ") else { throw SigV4Refusal.notSigned }
    var fields: [String: String] = [:]
    for field in header.dropFirst(SigV4Scope.algorithm.count + 1).split(separator: ",") {
      let halves = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = halves[0].drop(while: { $0 == " " })
      guard halves.count == 2, fields.updateValue(String(halves[1]), forKey: String(name)) == nil else {
        throw SigV4Refusal.malformed("Authorization")
      }
    }
    guard fields.count == 3 else { throw SigV4Refusal.malformed("Authorization") }
    guard let credential = fields["Credential"]?.split(separator: "/", maxSplits: 1), credential.count == 2 else {
      throw SigV4Refusal.malformed("Credential")
    }
    guard let names = fields["SignedHeaders"]?.split(separator: ";"), !names.isEmpty else {
      throw SigV4Refusal.malformed("SignedHeaders")
    }
    guard let signature = fields["Signature"].flatMap({ Hex.decode($0) }), signature.count == 32 else {
      throw SigV4Refusal.malformed("Signature")
    }
    accessKeyID = String(credential[0])
    scope = String(credential[1])
    signedHeaders = names.map(String.init)
    self.signature = signature
  }
}
