import Crypto
import Wire

/// What a signature says of the body.
package struct SigV4Payload: Sendable, Equatable {
  /// As it stands in the canonical request and in `x-amz-content-sha256`.
  package let text: String

  /// Covered: the SHA-256 of exactly these bytes.
  package static func body(_ bytes: [UInt8]) -> SigV4Payload {
    SigV4Payload(text: Hex.encode(Array(SHA256.hash(data: bytes))))
  }

  /// Covered: a SHA-256 that was computed already.
  package static func sha256(_ digest: [UInt8]) -> SigV4Payload { SigV4Payload(text: Hex.encode(digest)) }

  /// The body is not covered; S3 over TLS only.
  package static let unsigned = SigV4Payload(text: "UNSIGNED-PAYLOAD")
}

/// Signs requests to one service of one region by AWS Signature Version 4. Held to botocore's own signer by test.
package struct SigV4Signer: Sendable {
  private let credentials: AWSCredentials
  private let region: String
  private let service: String

  /// Headers that proxies and HTTP libraries change on the way, and which therefore are not signed.
  private static let unsignedHeaders: Set<String> = ["expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"]

  /// - Parameter service: as in the scope, `s3` or `kms`; `s3` alone adds `x-amz-content-sha256` and signs the path
  ///   as it is sent.
  package init(credentials: AWSCredentials, region: String, service: String) {
    self.credentials = credentials
    self.region = region
    self.service = service
  }

  /// The headers to add to a request so that it is signed.
  ///
  /// - Parameters:
  ///   - host: exactly the Host header that will be sent, with its port where that is not the scheme's own.
  ///   - path: not escaped; send ``SigV4Encoding/wirePath(_:)`` of it.
  ///   - query: not escaped; send ``SigV4Encoding/wireQuery(_:)`` of it.
  ///   - headers: all others that will be sent; each is signed.
  ///   - at: seconds since 1970.
  /// - Returns: `x-amz-date`, for S3 `x-amz-content-sha256`, for temporary credentials `x-amz-security-token`, and
  ///   `Authorization`.
  package func sign(
    method: String, host: String, path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
    payload: SigV4Payload, at seconds: Int64
  ) -> [(String, String)] {
    let timestamp = SigV4Date.text(seconds)
    var added = [("x-amz-date", timestamp)]
    if service == "s3" { added.append(("x-amz-content-sha256", payload.text)) }
    if let token = credentials.sessionToken { added.append(("x-amz-security-token", token)) }

    let signable = headers.filter { !Self.unsignedHeaders.contains($0.0.lowercased()) }
    let request = SigV4Request(
      method: method, path: path, query: query, headers: signable + [("host", host)] + added, payload: payload.text)
    let scope = SigV4Scope(day: String(timestamp.prefix(8)), region: region, service: service)
    let signature = scope.signature(request, timestamp: timestamp, secret: credentials.secret)

    added.append(
      (
        "Authorization",
        "\(SigV4Scope.algorithm) Credential=\(credentials.accessKeyID)/\(scope.text), "
          + "SignedHeaders=\(request.signedHeaders), Signature=\(Hex.encode(signature))"
      ))
    return added
  }
}
