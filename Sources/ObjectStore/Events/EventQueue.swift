import Crypto
import FoundationEssentials
import Glibc
import SealedCrypto

/// Where word comes from that the store may have changed.
package protocol EventSource: Sendable {
  /// Waits until there is word, or so many seconds.
  ///
  /// - Returns: how many messages came and were taken away.
  /// - Throws: ``ObjectStoreError``.
  func receive(waitSeconds: Int) throws -> Int
  /// Ends a wait under way, and all later ones.
  func cancel()
}

/// An SQS queue into which the bucket's events go. What stands in a message is not looked at: that one came is a hint to
/// list the inbox, and the listing is the truth. So lost, doubled, late, forged and garbled messages can do no harm, and
/// the queue may be anybody's to write to.
///
/// SQS's JSON protocol, signed as all else here; answers are bounded.
package final class EventQueue: EventSource {
  /// SQS's own most.
  private static let batch = 10
  package static let longestWaitSeconds = 20
  /// Ten messages of a mebibyte would be over it, which SQS does not send (a mebibyte in all), escaped or not.
  private static let answerLimitBytes = 8 << 20
  private static let handleLimitBytes = 4096

  /// For people.
  package let url: String
  private let scheme: String
  private let authority: String
  /// What requests are signed for.
  let region: String
  private let credentials: any CredentialSource
  private let transport = CurlTransport(
    timeouts: HTTPTimeouts(stalledSeconds: longestWaitSeconds + 10, wholeSeconds: longestWaitSeconds + 20))
  private let cancellation = Cancellation()
  private let now: @Sendable () -> Int64

  /// - Parameters:
  ///   - url: as SQS gives it: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`, or of another server.
  ///   - region: nil for the one in the URL's host, or else `us-east-1`.
  ///   - now: seconds since 1970.
  /// - Throws: ``ObjectStoreError`` of kind `invalid`.
  package init(
    url: String, region: String? = nil, credentials: any CredentialSource,
    now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) throws {
    let rest = url.split(separator: "/", omittingEmptySubsequences: false)
    guard url.utf8.count <= 1024, url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), rest.count >= 4,
      rest[1].isEmpty, let parsed = S3Location.parse("\(rest[0])//\(rest[2])"), !rest[3].isEmpty
    else {
      throw ObjectStoreError(
        .invalid, "open event queue \(url.prefix(200))", "not a queue's URL",
        mend: "give it as SQS does: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
    }
    self.url = url
    (scheme, authority) = parsed
    // `sqs.REGION.…`, FIPS `sqs-fips.REGION.…`, an endpoint in a VPC `vpce-….sqs.REGION.vpce.…`.
    let labels = authority.split(separator: ".")
    let found = labels.firstIndex { $0 == "sqs" || $0 == "sqs-fips" }.flatMap { labels[($0 + 1)...].first }
    self.region = region ?? (labels.count > 2 ? found.map(String.init) : nil) ?? "us-east-1"
    self.credentials = credentials
    self.now = now
  }

  package func cancel() { cancellation.cancel() }

  /// Waits until there are messages, or so many seconds; takes what came from the queue.
  ///
  /// - Returns: how many came, at most ten.
  /// - Throws: ``ObjectStoreError``. Messages that could not be deleted come again, which costs a listing.
  package func receive(waitSeconds: Int) throws -> Int {
    struct Question: Encodable {
      let queueURL: String
      let most: Int
      let wait: Int
      enum CodingKeys: String, CodingKey {
        case queueURL = "QueueUrl"
        case most = "MaxNumberOfMessages"
        case wait = "WaitTimeSeconds"
      }
    }
    struct Answer: Decodable {
      struct Message: Decodable { let ReceiptHandle: String? }
      let Messages: [Message]?
    }
    let wait = min(max(waitSeconds, 0), Self.longestWaitSeconds)
    let body = try call("ReceiveMessage", Question(queueURL: url, most: Self.batch, wait: wait))
    guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) else {
      throw error("ReceiveMessage", .retryable, "its answer is not SQS's JSON", "check the queue's URL")
    }
    let messages = (answer.Messages ?? []).prefix(Self.batch)
    try delete(messages.compactMap(\.ReceiptHandle))
    return messages.count
  }

  private func delete(_ handles: [String]) throws {
    struct Entry: Encodable {
      let Id: String
      let ReceiptHandle: String
    }
    struct Question: Encodable {
      let QueueUrl: String
      let Entries: [Entry]
    }
    let entries = handles.filter { (1...Self.handleLimitBytes).contains($0.utf8.count) }.enumerated()
      .map { Entry(Id: "\($0.offset)", ReceiptHandle: $0.element) }
    // Some of them may fail and come again; the answer says which, and it does not matter.
    if !entries.isEmpty { _ = try call("DeleteMessageBatch", Question(QueueUrl: url, Entries: entries)) }
  }

  private func call(_ action: String, _ question: some Encodable) throws -> [UInt8] {
    let credentials = try credentials.credentials()
    if credentials.sessionToken != nil, scheme == "http", !S3Location.isLoopback(authority) {
      throw error(action, .denied, "a session token would go over the network in clear", "use an https endpoint")
    }
    guard let data = try? JSONEncoder().encode(question) else {
      throw error(action, .invalid, "the question cannot be written", "report this: it is a fault in the program")
    }
    let body = Array(data)
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.\(action)")]
    let signature = SigV4Signer(credentials: credentials, region: region, service: "sqs").sign(
      method: "POST", host: authority, path: "/", headers: headers, payload: .body(body), at: now())
    let response: HTTPResponse
    do {
      response = try transport.perform(
        HTTPRequest(
          method: .post, url: "\(scheme)://\(authority)/", headers: headers + signature, body: body,
          responseLimit: Self.answerLimitBytes, cancellation: cancellation))
    } catch {
      throw self.error(action, .retryable, "no whole answer: \(error.reason)", "check the network and the queue's URL")
    }
    guard response.status == 200 else { throw refusal(action, response) }
    return response.body
  }

  private func refusal(_ action: String, _ response: HTTPResponse) -> ObjectStoreError {
    struct Refusal: Decodable {
      let type: String?
      let message: String?
      enum CodingKeys: String, CodingKey {
        case type = "__type"
        case message
      }
    }
    let refusal = try? JSONDecoder().decode(Refusal.self, from: Data(response.body))
    let type = Self.shown(refusal?.type ?? "")
    let text = "HTTP \(response.status) \(type) \(Self.shown(refusal?.message ?? ""))"
    if type.contains("QueueDoesNotExist") || type.contains("NonExistentQueue") {
      return error(action, .notFound, "there is no such queue", "create it, or correct --event-queue")
    }
    if response.status == 403 || type.contains("AccessDenied") {
      return error(action, .denied, text, "its owner must allow sqs:ReceiveMessage and sqs:DeleteMessage")
    }
    return error(
      action, response.status >= 500 || response.status == 429 ? .retryable : .invalid, text, "check the queue")
  }

  private func error(
    _ action: String, _ kind: ObjectStoreError.Kind, _ reason: String, _ mend: String
  ) -> ObjectStoreError {
    ObjectStoreError(kind, "\(action) \(url)", reason, mend: mend, by: .operator_)
  }

  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(200).filter { (0x20...0x7E).contains($0.value) }))
  }
}
