import Testing

@testable import Wire

/// Every message of daemon and worker survives its frame, and nothing else is read as one.
struct MessagesTests {
  private static let digest = [UInt8](repeating: 9, count: 32)

  private func roundTrip<Message>(
    _ messages: [Message], _ encode: (Message) -> CBOR, _ decode: (CBOR) throws -> Message
  ) throws {
    for message in messages {
      let item = try CBORDecoder.decode(encode(message).encoded())
      #expect(encode(try decode(item)) == encode(message))
      // An unknown key is refused in each.
      guard case .map(let pairs) = item else {
        Issue.record("not a map")
        return
      }
      #expect(throws: WireError.self) { _ = try decode(.map(pairs + [.init(.text("zz"), .null)])) }
      for pair in pairs.indices {
        var fewer = pairs
        fewer[pair] = .init(fewer[pair].key, .array([]))
        #expect(throws: WireError.self) { _ = try decode(.map(fewer)) }
      }
    }
  }

  @Test func activities() throws {
    let configuration = WorkerConfiguration(
      policy: [1, 2], relay: .vsock(cid: 3, port: 8000), accessKeyID: "AKIA", secretAccessKey: [3], sessionToken: "t")
    let bare = WorkerConfiguration(
      policy: [], relay: .unix("/run/relay"), accessKeyID: "A", secretAccessKey: [], sessionToken: nil)
    try roundTrip(
      [
        .configure(configuration), .configure(bare), .status(nonce: [1]), .createEpoch(7),
        .loadEpoch(seed: [1], announcement: [2]), .dropEpoch(4), .runJob(attempt: 3),
      ], { (message: Activity) in message.encoded() }, { try Activity($0) })
    #expect(throws: WireError.self) { _ = try Activity(.object([("activity", .text("shell"))])) }
    #expect(throws: WireError.self) {
      _ = try Activity(Activity.status(nonce: Array(repeating: 0, count: 65)).encoded())
    }
  }

  @Test func workerReplies() throws {
    try roundTrip(
      [WorkerReply(.ok, statement: [1], seed: [2]), WorkerReply(.retry), WorkerReply(.failed, statement: [])]
        + WorkerAdvice.allCases.map { WorkerReply(.refused, advice: $0) },
      { $0.encoded() }, { try WorkerReply($0) })
    #expect(throws: WireError.self) { _ = try WorkerReply(.object([("code", .unsigned(4))])) }
    #expect(throws: WireError.self) {
      _ = try WorkerReply(.object([("code", .unsigned(2)), ("advice", .text("free words"))]))
    }
  }

  @Test func jobRequests() throws {
    let digest = try ContentDigest(Self.digest)
    try roundTrip(
      [
        .pull(.bundle), .pull(.model(digest, name: "model.safetensors.age")), .write(.errors, [1, 2]),
        .progress(done: 12), .end(.ok, receipt: [1]), .end(.retry, receipt: nil),
      ], { (message: JobRequest) in message.encoded() }, { try JobRequest($0) })
    #expect(throws: WireError.self) {
      _ = try JobRequest(.object([("request", .text("write")), ("file", .unsigned(3)), ("bytes", .bytes([]))]))
    }
  }

  @Test func jobReplies() throws {
    try roundTrip(
      [.data([1]), .data([]), .absent, .acknowledged(cancel: true)], { (message: JobReply) in message.encoded() },
      { try JobReply($0) })
    let long = [UInt8](repeating: 0, count: Limits.chunkBytes + 1)
    #expect(throws: WireError.self) { _ = try JobReply(JobReply.data(long).encoded()) }
  }

  @Test func noiseIsNoMessage() {
    var random = SeededRandom(seed: 4711)
    for _ in 0..<5_000 {
      let item = random.item(depth: 3)
      #expect((try? Activity(item)) == nil)
      #expect((try? WorkerReply(item)) == nil)
      #expect((try? JobRequest(item)) == nil)
      #expect((try? JobReply(item)) == nil)
    }
  }

  @Test func securityModuleRequestsHaveTheDriversForms() throws {
    let requests: [SecurityModuleRequest] = [
      .attestation(userData: [1], nonce: nil, publicKey: [2]), .attestation(userData: nil, nonce: [3], publicKey: nil),
      .describeNSM, .describePCR(3), .extendPCR(16, data: [1, 2]), .lockPCR(16), .lockPCRs(17), .getRandom,
    ]
    for request in requests { #expect(try SecurityModuleRequest(request.encoded()) == request) }
    #expect(SecurityModuleRequest.getRandom.encoded() == CBOR.text("GetRandom").encoded())
    // Bytes of the AWS library for an attestation without arguments, keys in its order.
    let theirs: [UInt8] =
      [0xA1, 0x6B] + Array("Attestation".utf8) + [0xA3, 0x69] + Array("user_data".utf8) + [0xF6, 0x65]
      + Array("nonce".utf8) + [0xF6, 0x6A] + Array("public_key".utf8) + [0xF6]
    #expect(try SecurityModuleRequest(theirs) == .attestation(userData: nil, nonce: nil, publicKey: nil))
    #expect(throws: WireError.self) { _ = try SecurityModuleRequest([UInt8](repeating: 0xF6, count: 0x1001)) }
    #expect(throws: WireError.self) { _ = try SecurityModuleRequest(CBOR.text("Reboot").encoded()) }
    let long = SecurityModuleRequest.attestation(userData: Array(repeating: 0, count: 513), nonce: nil, publicKey: nil)
    #expect(throws: WireError.self) { _ = try SecurityModuleRequest(long.encoded()) }
  }

  @Test func securityModuleResponsesHaveTheDriversForms() throws {
    let responses: [SecurityModuleResponse] = [
      .attestation(document: [1, 2]), .describePCR(lock: true, data: Array(repeating: 1, count: 48)),
      .extendPCR(data: Array(repeating: 2, count: 48)), .lockPCR, .lockPCRs, .random([1, 2, 3]),
      .describeNSM(moduleID: "i-1-enc2", maxPCRs: 32, lockedPCRs: [0, 1], digest: "SHA384"), .error("ReadOnlyIndex"),
    ]
    for response in responses { #expect(try SecurityModuleResponse(response.encoded()) == response) }
    #expect(throws: WireError.self) { _ = try SecurityModuleResponse(CBOR.text("GetRandom").encoded()) }
  }

  @Test func endpointsAreReadAsTheyAreWritten() throws {
    for text in ["unix:/run/x", "vsock:3:8000", "vsock::8000"] { #expect("\(try Endpoint(text))" == text) }
    #expect(try Endpoint("/run/x") == .unix("/run/x"))
    let long = "/" + String(repeating: "a", count: 107)
    for wrong in ["", "run/x", "unix:run", "vsock:3", "vsock:3:x", "vsock:3:8000:1", "tcp:1", "unix:/a\0b", long] {
      #expect(throws: WireError.self) { try Endpoint(wrong) }
    }
  }

  @Test func hexadecimalIsLowerCaseAndWhole() throws {
    #expect(Hex.encode([0, 0x1F, 0xFF]) == "001fff")
    #expect(Hex.decode("001fff") == [0, 0x1F, 0xFF])
    for wrong in ["0", "0G", "AB", "é"] { #expect(Hex.decode(wrong) == nil) }
    #expect(ContentDigest(hex: String(repeating: "0", count: 62)) == nil)
    #expect(throws: WireError.self) { try ContentDigest([1]) }
  }
}
