import SealedCrypto

/// What a failed request means: whether to try again, and the error that its caller gets when that does not help.
struct S3Fault {
  let isRetryable: Bool
  /// The server asks for fewer requests, of everybody.
  let isThrottle: Bool
  /// S3's error code, or an empty text.
  let code: String
  let error: ObjectStoreError

  /// The connection failed.
  init(_ fault: TransportFault, _ call: S3Call, _ location: S3Location) {
    code = ""
    isThrottle = false
    isRetryable = fault.kind == .connection
    let action = call.name(location)
    let server = "\(location.scheme)://\(location.host)"
    error =
      switch fault.kind {
      case .connection:
        ObjectStoreError(
          .retryable, action, "no whole answer from \(server): \(fault.reason)",
          mend: "check the network and the endpoint, then try again", by: .you)
      case .untrustedServer:
        ObjectStoreError(
          .denied, action, "the certificate of \(server) is not trusted: \(fault.reason)",
          mend: "check the endpoint; its authority must be among this machine's", isOfStore: true)
      case .tooLarge:
        call.key == nil
          ? ObjectStoreError(.invalid, action, "the answer is over its limit", mend: "check the endpoint")
          : SmallObject.tooLarge(action, limit: call.responseLimit)
      case .cancelled: S3Store.givenUp(action)
      case .permanent:
        ObjectStoreError(.invalid, action, fault.reason, mend: "check the endpoint \(server)")
      }
  }

  /// The server answered, but not with what was asked for.
  ///
  /// - Parameter now: this machine's clock, seconds since 1970.
  init(_ response: HTTPResponse, _ call: S3Call, _ location: S3Location, accessKeyID: String, now: Int64) {
    let document = try? XMLReader.read(response.body)
    let root = document?.name == "Error" ? document : nil
    code = Self.shown(root?.child("Code")?.text ?? "")
    let message = Self.shown(root?.child("Message")?.text ?? "")
    let region = response.headers["x-amz-bucket-region"] ?? root?.child("Region")?.text

    let action = call.name(location)
    let answer = "HTTP \(response.status)" + (code.isEmpty ? "" : " \(code)") + (message.isEmpty ? "" : ": \(message)")
    func make(
      _ kind: ObjectStoreError.Kind, _ reason: String, _ mend: String, by mender: ObjectStoreError.Mender? = nil,
      isOfStore: Bool = false
    ) -> ObjectStoreError {
      ObjectStoreError(kind, action, reason, mend: mend, by: mender, isOfStore: isOfStore)
    }

    isRetryable = Self.isRetryable(code, response.status)
    isThrottle = Self.isThrottle(code, response.status)
    switch code {
    case "RequestTimeTooSkewed", "RequestExpired":
      let date = response.headers["date"].flatMap(HTTPDate.compact).flatMap(SigV4Date.seconds)
      let skew = date.map { " by \(abs(now - $0)) s" } ?? ""
      error = make(
        .denied, "this machine's clock differs from the server's\(skew)", "set the clock (NTP)", by: .you,
        isOfStore: true)
    case "InvalidAccessKeyId":
      error = make(
        .denied, "there is no access key \(accessKeyID)", "check AWS_ACCESS_KEY_ID or the profile", by: .you,
        isOfStore: true)
    case "SignatureDoesNotMatch":
      error = make(
        .denied, "the signature of \(accessKeyID) does not match",
        "check AWS_SECRET_ACCESS_KEY; behind a proxy, that it leaves paths and headers as they are", by: .you,
        isOfStore: true)
    case "ExpiredToken", "TokenRefreshRequired", "InvalidToken":
      error = make(
        .denied, "the session of \(accessKeyID) has ended", "renew AWS_SESSION_TOKEN and its keys", by: .you,
        isOfStore: true)
    case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
      let place = region.map { "in \(Self.shown($0))" } ?? "elsewhere"
      error = make(
        .invalid, "the bucket is \(place), not in \(location.region)",
        "give region=\(region.map(Self.shown) ?? "…") in the store's URL or as AWS_REGION", isOfStore: true)
    case "NoSuchBucket":
      error = make(
        .notFound, "there is no bucket \(location.bucket)", "create it, or correct the store's URL", isOfStore: true)
    case "InvalidObjectState":
      error = make(.invalid, "the object is archived", "restore it, or leave jobs/ out of the bucket's lifecycle rules")
    case "NoSuchKey":
      error = make(.notFound, "there is no such object", "check the name")
    case "NoSuchUpload":
      error = make(.conflict, "the upload was removed under its writer", "begin it again; look at the lifecycle rules")
    case "PreconditionFailed", "ConditionalRequestConflict":
      error = make(.conflict, "the object is being changed by others", "try again")
    default:
      switch response.status {
      case 401, 403:
        error = make(
          .denied, "\(accessKeyID) may not \(call.operation.permission) (\(answer))",
          "the bucket's owner must allow \(call.operation.permission) on \(location.name)*, and s3:ListBucket on the bucket"
        )
      case 404: error = make(.notFound, "there is no such object (\(answer))", "check the name")
      case 412: error = make(.conflict, "the object was changed by others", "try again")
      case 301, 307, 308:
        error = make(
          .invalid, "the bucket is \(region.map { "in \(Self.shown($0))" } ?? "elsewhere"), not in \(location.region)",
          "give region=\(region.map(Self.shown) ?? "…") in the store's URL or as AWS_REGION", isOfStore: true)
      default:
        error =
          isRetryable
          ? make(.retryable, "the store is not able to answer (\(answer))", "try again later")
          : make(.invalid, answer, "check the endpoint and what it supports")
      }
    }
  }

  private static func isThrottle(_ code: String, _ status: Int) -> Bool {
    switch code {
    case "SlowDown", "RequestLimitExceeded", "Throttling", "TooManyRequests", "Busy": true
    default: status == 429 || status == 503
    }
  }

  private static func isRetryable(_ code: String, _ status: Int) -> Bool {
    switch code {
    // Damaged on the way, too slow, too often, or two writers at the same instant: the same request may succeed.
    case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Busy", "OperationAborted", "BadDigest",
      "XAmzContentSHA256Mismatch", "ConditionalRequestConflict", "RequestLimitExceeded", "Throttling":
      true
    default: status == 429 || (500...504).contains(status) && status != 501
    }
  }

  /// The server's words, printable and short.
  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(200).filter { $0.value >= 0x20 && $0.value != 0x7f }))
  }
}
