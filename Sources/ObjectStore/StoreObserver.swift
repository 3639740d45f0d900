/// What S3 calls the requests that a store makes: a closed list, so that it can be a metric's label.
package enum StoreOperation: String, Sendable, CaseIterable {
  case headObject = "HeadObject"
  case getObject = "GetObject"
  case putObject = "PutObject"
  case deleteObject = "DeleteObject"
  case listObjects = "ListObjectsV2"
  case createUpload = "CreateMultipartUpload"
  case uploadPart = "UploadPart"
  case completeUpload = "CompleteMultipartUpload"
  case abortUpload = "AbortMultipartUpload"
  case listUploads = "ListMultipartUploads"

  /// What the bucket's policy must allow, for people.
  var permission: String {
    switch self {
    case .headObject, .getObject: "s3:GetObject"
    case .putObject, .createUpload, .uploadPart, .completeUpload: "s3:PutObject"
    case .deleteObject: "s3:DeleteObject"
    case .listObjects: "s3:ListBucket"
    case .abortUpload: "s3:AbortMultipartUpload"
    case .listUploads: "s3:ListBucketMultipartUploads"
    }
  }

  var method: HTTPRequest.Method {
    switch self {
    case .headObject: .head
    case .getObject, .listObjects, .listUploads: .get
    case .putObject, .uploadPart: .put
    case .createUpload, .completeUpload: .post
    case .deleteObject, .abortUpload: .delete
    }
  }
}

/// One request to a store as it ended, for metrics: no key, no bucket and nothing of its content.
package struct StoreRequest: Sendable {
  /// How it ended; a closed list.
  package enum Outcome: String, Sendable, CaseIterable {
    /// An answer that its caller expects; 404 and 412 are such where they are asked for.
    case ok
    /// A refusal that trying again does not mend (4xx, 3xx).
    case refused
    /// SlowDown, 429 or another word for "less often".
    case throttled
    /// The server's own failure (5xx).
    case serverError = "server_error"
    /// No whole answer: unreachable, reset, cut short, too slow, untrusted.
    case connection
    /// Its caller gave it up.
    case cancelled
  }

  package let operation: StoreOperation
  package let outcome: Outcome
  /// HTTP status; 0 where no answer came.
  package let status: Int
  /// Of the body, as far as it came to that.
  package let sentBytes: Int
  package let receivedBytes: Int
  /// From before the connection to the last byte of the answer.
  package let seconds: Double
  /// 1 for the first try; every higher one is a retry.
  package let attempt: Int
}

/// Sees every request that a store makes. Called on the thread that made it, beside others: quick, and never throwing.
package protocol StoreObserver: Sendable {
  func requestEnded(_ request: StoreRequest)
}

/// Looks away.
package struct NoStoreObserver: StoreObserver {
  package init() {}
  package func requestEnded(_ request: StoreRequest) {}
}
