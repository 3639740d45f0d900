import Crypto
import FoundationEssentials
import SealedCrypto

/// One S3 request, before it is signed.
struct S3Call {
  /// What the bucket's policy must allow, for people: `s3:GetObject`.
  let permission: String
  let method: HTTPRequest.Method
  /// Nil for the bucket itself.
  var key: ObjectKey?
  var query: [(String, String)] = []
  var headers: [(String, String)] = []
  var body: [UInt8] = []
  /// For answers that are small by their nature (errors, confirmations).
  var responseLimit = 64 << 10
  /// The statuses that the caller reads itself.
  var accepted: Set<Int> = [200]

  func name(_ location: S3Location) -> String { "\(method.rawValue) \(location.name)\(key?.text ?? "")" }
}

/// Signs, sends, repeats what may be repeated, and names what went wrong.
///
/// Every call of this store is idempotent or conditional, and is therefore repeated after a fault that may pass; a
/// conditional write that was perhaps carried out is told from a lost one by its ``S3Store/writeIDHeader``.
struct S3Client: Sendable {
  let location: S3Location
  private let credentials: any CredentialSource
  private let transport: CurlTransport
  let retry: RetryPolicy
  private let now: @Sendable () -> Int64

  init(
    _ location: S3Location, credentials: any CredentialSource, timeouts: HTTPTimeouts, retry: RetryPolicy,
    now: @escaping @Sendable () -> Int64
  ) {
    self.location = location
    self.credentials = credentials
    self.retry = retry
    self.now = now
    transport = CurlTransport(timeouts: timeouts)
  }

  /// Sends `call` until it is answered with an accepted status, or there is no point in another attempt.
  ///
  /// - Throws: ``ObjectStoreError``.
  func send(_ call: S3Call) throws -> HTTPResponse {
    var attempt = 1
    while true {
      switch try attemptOnce(call) {
      case .answered(let response): return response
      case .failed(let fault, _):
        guard fault.isRetryable, attempt < retry.attempts else { throw fault.error }
        retry.waitAfter(attempt)
        attempt += 1
      }
    }
  }

  /// How one attempt ended.
  enum Attempt {
    case answered(HTTPResponse)
    /// With what came of the answer before the fault, if that was a fault of the connection.
    case failed(S3Fault, partial: HTTPResponse?)
  }

  /// Sends `call` once.
  func attemptOnce(_ call: S3Call) throws -> Attempt {
    let credentials = try credentials.credentials()
    if credentials.sessionToken != nil, location.scheme == "http", !location.isLoopback {
      throw ObjectStoreError(
        .denied, call.name(location), "a session token would go over the network in clear",
        mend: "use an https endpoint")
    }
    do {
      let response = try transport.perform(signed(call, credentials))
      // CompleteMultipartUpload may say 200 first and fail afterwards, in the body.
      if call.accepted.contains(response.status),
        !(call.method == .post && response.status == 200 && Self.isError(response))
      {
        return .answered(response)
      }
      let fault = S3Fault(response, call, location, accessKeyID: credentials.accessKeyID, now: now())
      // An answer to HEAD has no body, and so no reason: ask again in a way that has one.
      guard call.method == .head, !fault.isRetryable else { return .failed(fault, partial: nil) }
      let question = S3Call(
        permission: call.permission, method: .get, key: call.key, headers: [("range", "bytes=0-0")], accepted: [])
      let reason = try transport.perform(signed(question, credentials))
      guard reason.status >= 300 else { return .failed(fault, partial: nil) }
      return .failed(S3Fault(reason, call, location, accessKeyID: credentials.accessKeyID, now: now()), partial: nil)
    } catch {
      return .failed(S3Fault(error, call, location), partial: error.partial)
    }
  }

  private func signed(_ call: S3Call, _ credentials: AWSCredentials) -> HTTPRequest {
    let digest = Array(SHA256.hash(data: call.body))
    var headers = call.headers
    if call.method == .put {
      headers.append(("content-type", "application/octet-stream"))
      headers.append(("x-amz-checksum-sha256", Data(digest).base64EncodedString()))
    }
    let path = location.path(call.key)
    let signature = SigV4Signer(credentials: credentials, region: location.region, service: "s3").sign(
      method: call.method.rawValue, host: location.host, path: path, query: call.query, headers: headers,
      payload: .sha256(digest), at: now())
    return HTTPRequest(
      method: call.method, url: location.url(path: path, query: call.query), headers: headers + signature,
      body: call.body, responseLimit: call.responseLimit)
  }

  private static func isError(_ response: HTTPResponse) -> Bool {
    (try? XMLReader.read(response.body))?.name == "Error"
  }
}
