// What daemon and worker say to each other. The host opens one connection for each activity and sends an `Activity`
// first. All but `runJob` are answered with one `WorkerReply`. In `runJob` the
// worker drives: it sends `JobRequest`s, and each is answered with one `JobReply`, until `.end`. So the host sends only
// what was asked for, which is the flow control, and a silent peer is a fault within the channel's deadline.

/// The only results that leave the enclave in clear (protocol §5).
package enum OutwardCode: UInt64, Sendable, CaseIterable {
  /// Done; the receipt says what.
  case ok = 0
  /// Nothing was decided; the same bytes may be sent again.
  case retry = 1
  /// Not permitted; the receipt stands, the reason is sealed.
  case refused = 2
  /// Permitted, but it could not be computed.
  case failed = 3
}

/// The three result files of a job (protocol §3), each an age file of its own.
package enum ResultFile: UInt64, Sendable, CaseIterable {
  case output = 0
  case errors = 1
  case items = 2

  /// The plaintext's name.
  package var name: String {
    switch self {
    case .output: "output.jsonl"
    case .errors: "errors.jsonl"
    case .items: "items.cbor"
    }
  }

  /// The object's name under `jobs/<name>/attempts/<n>/`.
  package var sealedName: String { name + ".age" }
}

/// What the host lends to the worker: nothing in it is trusted.
package struct WorkerConfiguration: Sendable {
  /// The policy's COSE bytes.
  package let policy: [UInt8]
  /// Where KMS is reached; TLS proves who answers.
  package let relay: Endpoint
  /// AWS access key id.
  package let accessKeyID: String
  /// AWS secret key. Worth nothing without attestation, but still kept out of logs.
  package let secretAccessKey: [UInt8]
  /// AWS session token of temporary credentials.
  package let sessionToken: String?

  package init(
    policy: [UInt8], relay: Endpoint, accessKeyID: String, secretAccessKey: [UInt8], sessionToken: String?
  ) {
    self.policy = policy
    self.relay = relay
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
  }
}

/// The first frame of a connection.
package enum Activity: Sendable {
  /// Installs policy, relay and credentials; repeated whenever one of them changes.
  case configure(WorkerConfiguration)
  /// Asks for a signed, attested status; the nonce (at most 64 bytes) is all that the host may put into it.
  case status(nonce: [UInt8])
  /// Makes a new sealing key, stores it under KMS and announces it.
  case createEpoch(UInt64)
  /// Opens a stored sealing key: the seed's age file and the announcement beside it, against which the worker checks
  /// the opened seed (protocol §3). The announcement also names the epoch, which KMS authenticates as its context.
  case loadEpoch(seed: [UInt8], announcement: [UInt8])
  /// Wipes the sealing keys of this number. Availability only: the same host can load the seed again; what revokes an
  /// epoch is the policy's minimum.
  case dropEpoch(UInt64)
  /// Runs the job whose bundle the worker will pull. The attempt number is the host's word.
  case runJob(attempt: UInt64)

  package func encoded() -> CBOR {
    switch self {
    case .configure(let value):
      .object([
        ("activity", .text("configure")), ("policy", .bytes(value.policy)), ("relay", .text("\(value.relay)")),
        ("access_key", .text(value.accessKeyID)), ("secret_key", .bytes(value.secretAccessKey)),
        ("session_token", value.sessionToken.map { .text($0) }),
      ])
    case .status(let nonce): .object([("activity", .text("status")), ("nonce", .bytes(nonce))])
    case .createEpoch(let number): .object([("activity", .text("create-epoch")), ("epoch", .unsigned(number))])
    case .loadEpoch(let seed, let announcement):
      .object([
        ("activity", .text("load-epoch")), ("seed", .bytes(seed)), ("announcement", .bytes(announcement)),
      ])
    case .dropEpoch(let number): .object([("activity", .text("drop-epoch")), ("epoch", .unsigned(number))])
    case .runJob(let attempt): .object([("activity", .text("run-job")), ("attempt", .unsigned(attempt))])
    }
  }

  /// - Throws: ``WireError`` when `item` is no activity.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "activity")
    let name = try fields.text("activity", limit: 32)
    switch name {
    case "configure":
      self = .configure(
        WorkerConfiguration(
          policy: try fields.bytes("policy"), relay: try Endpoint(try fields.text("relay", limit: 256)),
          accessKeyID: try fields.text("access_key", limit: 256),
          secretAccessKey: try fields.bytes("secret_key", limit: 256),
          sessionToken: try fields.optionalText("session_token", limit: 16 << 10)))
    case "status": self = .status(nonce: try fields.bytes("nonce", limit: 64))
    case "create-epoch": self = .createEpoch(try fields.unsigned("epoch"))
    case "load-epoch":
      self = .loadEpoch(seed: try fields.bytes("seed"), announcement: try fields.bytes("announcement"))
    case "drop-epoch": self = .dropEpoch(try fields.unsigned("epoch"))
    case "run-job": self = .runJob(attempt: try fields.unsigned("attempt"))
    default: throw WireError.malformed("activity: unknown")
    }
    try fields.finish()
  }
}

/// The one answer to every activity but `runJob`.
package struct WorkerReply: Sendable {
  package let code: OutwardCode
  /// COSE bytes: the status, or the announcement of a new epoch.
  package let statement: [UInt8]?
  /// The age file of a new epoch's seed.
  package let seed: [UInt8]?
  /// For the host's operator, where the code is not `ok`.
  package let advice: WorkerAdvice?

  package init(
    _ code: OutwardCode, statement: [UInt8]? = nil, seed: [UInt8]? = nil, advice: WorkerAdvice? = nil
  ) {
    self.code = code
    self.statement = statement
    self.seed = seed
    self.advice = advice
  }

  package func encoded() -> CBOR {
    .object([
      ("code", .unsigned(code.rawValue)), ("statement", statement.map { .bytes($0) }),
      ("seed", seed.map { .bytes($0) }), ("advice", advice.map { .text($0.rawValue) }),
    ])
  }

  /// - Throws: ``WireError`` when `item` is no reply.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "worker reply")
    guard let code = OutwardCode(rawValue: try fields.unsigned("code")) else {
      throw WireError.malformed("worker reply: unknown code")
    }
    self.code = code
    statement = try fields.optionalBytes("statement")
    seed = try fields.optionalBytes("seed")
    advice = try fields.optionalText("advice", limit: 32).map { text in
      guard let advice = WorkerAdvice(rawValue: text) else { throw WireError.malformed("worker reply: unknown advice") }
      return advice
    }
    try fields.finish()
  }
}

/// What the worker can ask the host to stream.
package enum JobStream: Hashable, Sendable {
  /// The sealed bundle.
  case bundle
  /// An object of a published model, by the digest of its manifest and its name there.
  case model(ContentDigest, name: String)
}

/// What a worker asks of the host while it runs a job.
package enum JobRequest: Sendable {
  /// The next at most ``Limits/chunkBytes`` bytes of a stream; the host opens it at the first request.
  case pull(JobStream)
  /// Appends to a result file.
  case write(ResultFile, [UInt8])
  /// Items done so far; also the heartbeat. The first one, of zero items, says that the bundle opened and its manifest
  /// verified.
  case progress(done: UInt64)
  /// The last message: the outward code, and the receipt unless the code is `retry`.
  case end(OutwardCode, receipt: [UInt8]?)

  package func encoded() -> CBOR {
    switch self {
    case .pull(.bundle): .object([("request", .text("pull"))])
    case .pull(.model(let digest, let name)):
      .object([("request", .text("pull")), ("model", .bytes(digest.bytes)), ("name", .text(name))])
    case .write(let file, let bytes):
      .object([("request", .text("write")), ("file", .unsigned(file.rawValue)), ("bytes", .bytes(bytes))])
    case .progress(let done): .object([("request", .text("progress")), ("done", .unsigned(done))])
    case .end(let code, let receipt):
      .object([
        ("request", .text("end")), ("code", .unsigned(code.rawValue)), ("receipt", receipt.map { .bytes($0) }),
      ])
    }
  }

  /// - Throws: ``WireError`` when `item` is no request.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "job request")
    switch try fields.text("request", limit: 32) {
    case "pull":
      if let digest = try fields.optionalDigest("model") {
        self = .pull(.model(digest, name: try fields.text("name", limit: 256)))
      } else {
        self = .pull(.bundle)
      }
    case "write":
      guard let file = ResultFile(rawValue: try fields.unsigned("file")) else {
        throw WireError.malformed("job request: unknown result file")
      }
      self = .write(file, try fields.bytes("bytes"))
    case "progress": self = .progress(done: try fields.unsigned("done"))
    case "end":
      guard let code = OutwardCode(rawValue: try fields.unsigned("code")) else {
        throw WireError.malformed("job request: unknown code")
      }
      self = .end(code, receipt: try fields.optionalBytes("receipt"))
    default: throw WireError.malformed("job request: unknown")
    }
    try fields.finish()
  }
}

/// The host's answer to one `JobRequest`.
package enum JobReply: Sendable {
  /// A piece of the stream, at most ``Limits/chunkBytes``; empty is the end.
  case data([UInt8])
  /// The stream's object does not exist in the store.
  case absent
  /// Taken. `cancel` asks the worker to stop: it ends the attempt with the code `retry` and no receipt, since nobody
  /// signed the wish.
  case acknowledged(cancel: Bool)

  package func encoded() -> CBOR {
    switch self {
    case .data(let bytes): .object([("reply", .text("data")), ("bytes", .bytes(bytes))])
    case .absent: .object([("reply", .text("absent"))])
    case .acknowledged(let cancel): .object([("reply", .text("ok")), ("cancel", .bool(cancel))])
    }
  }

  /// - Throws: ``WireError`` when `item` is no reply.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "job reply")
    switch try fields.text("reply", limit: 32) {
    case "data": self = .data(try fields.bytes("bytes", limit: Limits.chunkBytes))
    case "absent": self = .absent
    case "ok": self = .acknowledged(cancel: try fields.bool("cancel"))
    default: throw WireError.malformed("job reply: unknown")
    }
    try fields.finish()
  }
}
