import Foundation
import SealedCrypto
import TestSupport
import Testing

@testable import ObjectStore

@Suite("event queue before moto's SQS", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct EventQueueTests {
  private let moto: Moto
  private let name = "q-" + UUID().uuidString

  init() throws { moto = try Moto.open.get() }

  /// One signed request of SQS's JSON protocol, for what only a test does.
  @discardableResult
  private func sqs(_ action: String, _ body: [String: Any]) throws -> [String: Any] {
    let bytes = Array(try JSONSerialization.data(withJSONObject: body))
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.\(action)")]
    let authority = String(moto.endpoint.dropFirst("http://".count))
    let signature = SigV4Signer(credentials: try moto.credentials(), region: "us-east-1", service: "sqs").sign(
      method: "POST", host: authority, path: "/", headers: headers, payload: .body(bytes), at: Int64(time(nil)))
    let answer = try CurlTransport().perform(
      HTTPRequest(
        method: .post, url: moto.endpoint + "/", headers: headers + signature, body: bytes, responseLimit: 1 << 20))
    try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
    return try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any] ?? [:]
  }

  private func makeQueue() throws -> String {
    let url = try #require(try sqs("CreateQueue", ["QueueName": name])["QueueUrl"] as? String)
    // moto names itself as it was asked; the port is what tells servers apart.
    return moto.endpoint + "/" + url.split(separator: "/").suffix(2).joined(separator: "/")
  }

  private func events(_ url: String) throws -> EventQueue {
    try EventQueue(url: url, credentials: FixedCredentials(try moto.credentials()))
  }

  private func waiting(_ url: String) throws -> Int {
    let answer = try sqs("GetQueueAttributes", ["QueueUrl": url, "AttributeNames": ["All"]])
    let attributes = answer["Attributes"] as? [String: String] ?? [:]
    return ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
      .compactMap { attributes[$0].flatMap { Int($0) } }.reduce(0, +)
  }

  @Test("messages are counted and deleted, whatever stands in them")
  func garbage() throws {
    let url = try makeQueue()
    let queue = try events(url)
    #expect(try queue.receive(waitSeconds: 0) == 0)
    let bodies = [
      "{}", "not json", "\u{1F4A3}", String(repeating: "x", count: 200_000), "{\"Records\":[{\"s3\":{}}]}", "{}",
      "<a/>",
    ]
    for body in bodies + Array(repeating: "flood", count: 25) {
      try sqs("SendMessage", ["QueueUrl": url, "MessageBody": body])
    }
    var got = 0
    for _ in 0..<50 where got < bodies.count + 25 { got += try queue.receive(waitSeconds: 0) }
    #expect(got == bodies.count + 25)
    #expect(try waiting(url) == 0)
  }

  @Test("an object's event ends the wait")
  func objectEvent() throws {
    let url = try makeQueue()
    let store = try moto.store(prefix: name)
    let arn = try #require(
      (try sqs("GetQueueAttributes", ["QueueUrl": url, "AttributeNames": ["QueueArn"]])["Attributes"]
        as? [String: String])?["QueueArn"])
    let configuration =
      "<NotificationConfiguration><QueueConfiguration><Id>\(name)</Id><Queue>\(arn)</Queue>"
      + "<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>\(name)/inbox/</Value>"
      + "</FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>"
    let query = [("notification", "")]
    let bytes = Array(configuration.utf8)
    let signature = SigV4Signer(credentials: try moto.credentials(), region: "us-east-1", service: "s3").sign(
      method: "PUT", host: store.client.location.host, path: "/bucket", query: query, payload: .body(bytes),
      at: Int64(time(nil)))
    let answer = try CurlTransport().perform(
      HTTPRequest(
        method: .put, url: store.client.location.url(path: "/bucket", query: query), headers: signature, body: bytes,
        responseLimit: 1 << 16))
    #expect(answer.status == 200)
    let queue = try events(url)
    // A configuration may make a message of its own (s3:TestEvent).
    while try queue.receive(waitSeconds: 0) > 0 {}
    _ = try store.put(try ObjectKey("elsewhere/a"), [1], .always)
    #expect(try queue.receive(waitSeconds: 0) == 0)
    _ = try store.put(try ObjectKey("inbox/default/a.age"), [1], .always)
    #expect(try queue.receive(waitSeconds: 20) == 1)
  }

  @Test("a missing queue, a closed port, no queue's URL: each is named")
  func namedErrors() throws {
    let missing = try events(moto.endpoint + "/123456789012/no-such-queue")
    let error = try #require(storeFailure { try missing.receive(waitSeconds: 0) })
    #expect(error.kind == .notFound && error.description.contains("no such queue"), "\(error)")
    let closed = try events("http://127.0.0.1:9/1/q")
    #expect(storeFailure { try closed.receive(waitSeconds: 0) }?.kind == .retryable)
    for bad in ["", "q", "http://", "http://host", "http://host/", "ftp://host/1/q", "https://host/1/q q"] {
      let made = Result { try events(bad) }
      #expect(throws: ObjectStoreError.self, "\(bad)") { try made.get() }
    }
  }

  @Test(
    "requests are signed for the region that the host names",
    arguments: [
      ("sqs.eu-central-1.amazonaws.com", "eu-central-1"), ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
      ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"), ("sqs.eu-west-1.api.aws", "eu-west-1"),
      ("vpce-0ab1-x7.sqs.eu-north-1.vpce.amazonaws.com", "eu-north-1"), ("127.0.0.1:9", "us-east-1"),
      ("sqs", "us-east-1"), ("sqs.internal", "us-east-1"),
    ])
  func region(_ host: String, _ region: String) throws {
    #expect(try events("https://\(host)/123456789012/q").region == region)
  }

  @Test("a server that babbles, answers without an end or refuses costs an error, and no memory")
  func hostileServer() throws {
    for (answer, kind) in [
      (LoopbackServer.Response.answer(200, "<xml/>"), ObjectStoreError.Kind.retryable),
      (.answer(200, "{\"Messages\":7}"), .retryable), (.endless, .retryable),
      (.answer(403, "{\"__type\":\"com.amazonaws.sqs#AccessDeniedException\"}"), .denied),
      (.answer(500, "oops"), .retryable), (.answer(400, "{}"), .invalid),
    ] {
      let server = try LoopbackServer { _ in answer }
      let queue = try events(server.endpoint + "/1/q")
      #expect(storeFailure { try queue.receive(waitSeconds: 1) }?.kind == kind, "\(answer)")
    }
    // More messages than were asked for, and none that could be deleted.
    let many = "{\"Messages\":[" + Array(repeating: "{\"Body\":\"x\"}", count: 1000).joined(separator: ",") + "]}"
    let server = try LoopbackServer { _ in .answer(200, many) }
    #expect(try events(server.endpoint + "/1/q").receive(waitSeconds: 1) == 10)
    #expect(server.requests.count == 1)
    #expect(server.requests.first?.headers["x-amz-target"] == "AmazonSQS.ReceiveMessage")
  }

  @Test("a wait ends when it is told to")
  func cancel() throws {
    let server = try LoopbackServer { _ in .silence }
    let queue = try events(server.endpoint + "/1/q")
    Thread.detachNewThread {
      while server.requests.isEmpty { usleep(10_000) }
      queue.cancel()
    }
    #expect(storeFailure { try queue.receive(waitSeconds: 20) }?.kind == .retryable)
    #expect(storeFailure { try queue.receive(waitSeconds: 20) }?.kind == .retryable)
  }
}
