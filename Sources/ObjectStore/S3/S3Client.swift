import Crypto
import FoundationEssentials
import SealedCrypto

/// One S3 request, before it is signed.
struct S3Call {
  let operation: StoreOperation
  /// Nil for the bucket itself.
  var key: ObjectKey?
  var query: [(String, String)] = []
  var headers: [(String, String)] = []
  var body: [UInt8] = []
  /// SHA-256 of the body, where that is known already.
  var bodyDigest: [UInt8]?
  /// For answers that are small by their nature (errors, confirmations).
  var responseLimit = 64 << 10
  /// The statuses that the caller reads itself.
  var accepted: Set<Int> = [200]
  /// Ends it, and its repetitions.
  var cancellation: Cancellation?

  /// For people: `PUT s3://bucket/key`.
  func name(_ location: S3Location) -> String {
    "\(operation.method.rawValue) \(location.name)\(key?.text ?? "")"
  }
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
  private let backOff = SharedBackOff()
  private let observer: any StoreObserver
  private let now: @Sendable () -> Int64

  init(
    _ location: S3Location, credentials: any CredentialSource, timeouts: HTTPTimeouts, retry: RetryPolicy,
    observer: any StoreObserver, now: @escaping @Sendable () -> Int64
  ) {
    self.location = location
    self.credentials = credentials
    self.retry = retry
    self.observer = observer
    self.now = now
    transport = CurlTransport(timeouts: timeouts)
  }

  /// Sends `call` until it is answered with an accepted status, or there is no point in another attempt.
  ///
  /// - Throws: ``ObjectStoreError``.
  func send(_ call: S3Call) throws -> HTTPResponse {
    var attempt = 1
    while true {
      switch try attemptOnce(call, attempt: attempt) {
      case .answered(let response): return response
      case .failed(let fault, _):
        guard fault.isRetryable, attempt < retry.attempts, call.cancellation?.isCancelled != true else {
          throw fault.error
        }
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
  ///
  /// - Parameter attempt: its number, from 1, for the observer.
  func attemptOnce(_ call: S3Call, attempt: Int) throws -> Attempt {
    let credentials = try credentials.credentials()
    if credentials.sessionToken != nil, location.scheme == "http", !location.isLoopback {
      throw ObjectStoreError(
        .denied, call.name(location), "a session token would go over the network in clear",
        mend: "use an https endpoint")
    }
    if case let pause = backOff.pauseMilliseconds(), pause > 0 { retry.pause(pause) }
    do {
      let response = try perform(call, credentials, attempt: attempt)
      // CompleteMultipartUpload may say 200 first and fail afterwards, in the body.
      if call.accepted.contains(response.status),
        !(call.operation == .completeUpload && response.status == 200 && Self.isError(response))
      {
        backOff.answered()
        return .answered(response)
      }
      let fault = S3Fault(response, call, location, accessKeyID: credentials.accessKeyID, now: now())
      if fault.isThrottle {
        backOff.slowedDown(retryAfterSeconds: response.headers["retry-after"].flatMap { Int($0) })
      }
      // An answer to HEAD has no body, and so no reason: ask again in a way that has one.
      guard call.operation == .headObject, !fault.isRetryable else { return .failed(fault, partial: nil) }
      let question = S3Call(
        operation: .getObject, key: call.key, headers: [("range", "bytes=0-0")], accepted: [])
      let reason = try perform(question, credentials, attempt: attempt)
      guard reason.status >= 300 else { return .failed(fault, partial: nil) }
      return .failed(S3Fault(reason, call, location, accessKeyID: credentials.accessKeyID, now: now()), partial: nil)
    } catch {
      return .failed(S3Fault(error, call, location), partial: error.partial)
    }
  }

  private func perform(
    _ call: S3Call, _ credentials: AWSCredentials, attempt: Int
  ) throws(TransportFault) -> HTTPResponse {
    let begin = ContinuousClock.now
    do {
      let response = try transport.perform(signed(call, credentials))
      report(call, .init(response, accepted: call.accepted), response, since: begin, attempt)
      return response
    } catch {
      report(call, error.kind == .cancelled ? .cancelled : .connection, error.partial, since: begin, attempt)
      throw error
    }
  }

  private func report(
    _ call: S3Call, _ outcome: StoreRequest.Outcome, _ response: HTTPResponse, since begin: ContinuousClock.Instant,
    _ attempt: Int
  ) {
    let (seconds, attoseconds) = begin.duration(to: .now).components
    observer.requestEnded(
      StoreRequest(
        operation: call.operation, outcome: outcome, status: response.status, sentBytes: call.body.count,
        receivedBytes: response.body.count, seconds: Double(seconds) + Double(attoseconds) / 1e18, attempt: attempt))
  }

  private func signed(_ call: S3Call, _ credentials: AWSCredentials) -> HTTPRequest {
    let digest = call.bodyDigest ?? Array(SHA256.hash(data: call.body))
    var headers = call.headers
    let method = call.operation.method
    if method == .put {
      headers.append(("content-type", "application/octet-stream"))
      headers.append(S3Checksum.algorithmHeader)
      if !headers.contains(where: { $0.0 == S3Checksum.header }) {
        headers.append((S3Checksum.header, S3Checksum.text(digest)))
      }
    }
    let path = location.path(call.key)
    let signature = SigV4Signer(credentials: credentials, region: location.region, service: "s3").sign(
      method: method.rawValue, host: location.host, path: path, query: call.query, headers: headers,
      payload: .sha256(digest), at: now())
    return HTTPRequest(
      method: method, url: location.url(path: path, query: call.query), headers: headers + signature,
      body: call.body, responseLimit: call.responseLimit, cancellation: call.cancellation)
  }

  private static func isError(_ response: HTTPResponse) -> Bool {
    (try? XMLReader.read(response.body))?.name == "Error"
  }
}

extension StoreRequest.Outcome {
  fileprivate init(_ response: HTTPResponse, accepted: Set<Int>) {
    self =
      switch response.status {
      case accepted, 200..<300: .ok
      case 429, 503: .throttled
      case 500...: .serverError
      default: .refused
      }
  }
}

private func ~= (statuses: Set<Int>, status: Int) -> Bool { statuses.contains(status) }
