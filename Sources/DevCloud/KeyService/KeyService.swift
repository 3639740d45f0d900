import Attestation
import FoundationEssentials
import Logging
import SealedCrypto
import Wire

/// The part of KMS that the project uses, with KMS's order of checks: signature, form, key, recipient, policy, key
/// state, and only then the operation. Pure but for the key files that it reads: the clock is passed in.
struct KeyService: Sendable {
  /// One HTTP request, as far as KMS looks at it.
  struct Call: Sendable {
    let method: String
    /// Path and query as they came.
    let target: String
    /// All headers as they came, `host` among them.
    let headers: [(String, String)]
    let body: [UInt8]
    /// Milliseconds since 1970.
    let now: Int64
  }

  /// Bytes of an encryption context's names and values together, as in KMS.
  private static let contextBytesMax = 8192
  private static let plaintextBytesMax = 4096

  let keys: KeyRing
  let callers: [Caller]
  let verifier: AttestationVerifier
  let logger: Logger

  /// Answers one request.
  ///
  /// - Returns: the HTTP status and a JSON body.
  func respond(to call: Call) -> (status: Int, body: [UInt8]) {
    var entry = RequestLogEntry()
    do {
      let reply = try answer(call, &entry)
      entry.outcome = "ok"
      entry.write(to: logger)
      return (200, try Self.encode(reply))
    } catch let error as KeyServiceError {
      entry.outcome = "\(error.name): \(error.message)"
      entry.write(to: logger)
      return (error.status, Self.encode(error))
    } catch {
      entry.outcome = "KMSInternalException: \(error)"
      entry.write(to: logger)
      return (KeyServiceError.internal.status, Self.encode(.internal))
    }
  }

  private func answer(_ call: Call, _ entry: inout RequestLogEntry) throws -> KeyServiceReply {
    let caller = try authenticate(call)
    entry.principal = caller.arn
    guard call.method == "POST", call.target == "/",
      let target = call.headers.first(where: { $0.0.lowercased() == "x-amz-target" })?.1,
      let operation = KeyServiceOperation(target: target)
    else { throw KeyServiceError.unknownOperation }
    entry.action = operation.action
    guard let request = try? JSONDecoder().decode(KeyServiceRequest.self, from: Data(call.body)) else {
      throw KeyServiceError.serialization
    }
    let context = try Self.checked(request.encryptionContext ?? [:])
    entry.context = context
    let key = try key(for: request, operation)
    entry.key = key.arn

    let recipient =
      try operation.takesRecipient
      ? request.recipient.map { try VerifiedRecipient($0, verifier: verifier, now: call.now) } : nil
    entry.module = recipient?.moduleID
    try authorize(caller, operation, key, context, recipient, &entry)
    guard try key.record().enabled else { throw KeyServiceError.disabled(key.arn) }
    if request.dryRun == true { throw KeyServiceError.dryRun }

    switch operation {
    case .generateDataKey: return try generateDataKey(request, key, context, recipient)
    case .decrypt: return try decrypt(request, key, context, recipient)
    case .encrypt: return try encrypt(request, key, context)
    case .describeKey: return try describe(key)
    }
  }

  // MARK: Who may

  private func authenticate(_ call: Call) throws -> Caller {
    let verifier = SigV4Verifier(region: DevelopmentState.region, service: "kms") { id in
      callers.first { $0.accessKeyID == id }?.secret
    }
    do {
      let id = try verifier.verify(
        method: call.method, target: call.target, headers: call.headers, body: call.body, now: call.now / 1000)
      guard let caller = callers.first(where: { $0.accessKeyID == id }) else {
        throw SigV4Refusal.unknownAccessKey(id)
      }
      return caller
    } catch let refusal as SigV4Refusal {
      throw KeyServiceError(refusal)
    }
  }

  private func authorize(
    _ caller: Caller, _ operation: KeyServiceOperation, _ key: KeyRing.Key, _ context: [String: String],
    _ recipient: VerifiedRecipient?, _ entry: inout RequestLogEntry
  ) throws {
    var conditionKeys = recipient?.conditionKeys ?? [:]
    conditionKeys["aws:principalarn"] = caller.arn
    conditionKeys["kms:calleraccount"] = PolicyTemplates.account
    for (name, value) in context { conditionKeys["kms:encryptioncontext:\(name.lowercased())"] = value }
    let decision = try key.policy().decide(
      PolicyRequest(principal: caller.arn, action: operation.action, resource: key.arn, context: conditionKeys))
    entry.decision = decision
    let subject = "User: \(caller.arn) is not authorized to perform: \(operation.action) on resource: \(key.arn)"
    switch decision {
    case .allowed: return
    case .denied: throw KeyServiceError.accessDenied(subject + " with an explicit deny in a resource-based policy")
    case .notAllowed:
      throw KeyServiceError.accessDenied(
        subject + " because no resource-based policy allows the \(operation.action) action")
    }
  }

  private func key(for request: KeyServiceRequest, _ operation: KeyServiceOperation) throws -> KeyRing.Key {
    let named = try request.keyID.map { name in
      guard let key = keys.key(named: name) else {
        throw KeyServiceError.notFound("Key '\(name.prefix(200))' does not exist")
      }
      return key
    }
    guard operation == .decrypt else {
      guard let named else { throw KeyServiceError.validation("KeyId is missing.") }
      return named
    }
    // Decrypt finds the key in the blob; a key that the caller names as well must be that one.
    guard let blob = request.ciphertextBlob.flatMap({ CiphertextBlob(Array($0)) }), let key = keys.key(blob.keyID)
    else {
      throw KeyServiceError.invalidCiphertext
    }
    guard named == nil || named?.arn == key.arn else { throw KeyServiceError.incorrectKey }
    return key
  }

  private static func checked(_ context: [String: String]) throws -> [String: String] {
    let bytes = context.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
    guard bytes <= contextBytesMax else { throw KeyServiceError.validation("The encryption context is too large.") }
    // Condition keys have no case, so two such names would be one to a policy and two to the cipher.
    guard Set(context.keys.map { $0.lowercased() }).count == context.count else {
      throw KeyServiceError.validation("The encryption context has names that differ in case alone.")
    }
    return context
  }

  // MARK: Operations

  private func generateDataKey(
    _ request: KeyServiceRequest, _ key: KeyRing.Key, _ context: [String: String], _ recipient: VerifiedRecipient?
  ) throws -> KeyServiceReply {
    let count: Int
    switch (request.keySpec, request.numberOfBytes) {
    case ("AES_256", nil): count = 32
    case ("AES_128", nil): count = 16
    case (nil, .some(let wanted)) where (1...1024).contains(wanted): count = wanted
    default: throw KeyServiceError.validation("Give either KeySpec (AES_256 or AES_128) or NumberOfBytes (1 to 1024).")
    }
    let dataKey = try SecretBytes.random(count: count)
    var reply = KeyServiceReply(keyID: key.arn)
    reply.ciphertextBlob = Data(try seal(dataKey, key, context))
    try disclose(dataKey, to: recipient, &reply)
    return reply
  }

  private func decrypt(
    _ request: KeyServiceRequest, _ key: KeyRing.Key, _ context: [String: String], _ recipient: VerifiedRecipient?
  ) throws -> KeyServiceReply {
    try requireSymmetric(request)
    guard let blob = request.ciphertextBlob.flatMap({ CiphertextBlob(Array($0)) }),
      let plain = try blob.open(arn: key.arn, material: key.material, context: context)
    else { throw KeyServiceError.invalidCiphertext }
    var reply = KeyServiceReply(keyID: key.arn, encryptionAlgorithm: "SYMMETRIC_DEFAULT")
    try disclose(plain, to: recipient, &reply)
    return reply
  }

  private func encrypt(_ request: KeyServiceRequest, _ key: KeyRing.Key, _ context: [String: String]) throws
    -> KeyServiceReply
  {
    try requireSymmetric(request)
    guard let plain = request.plaintext, (1...Self.plaintextBytesMax).contains(plain.count) else {
      throw KeyServiceError.validation("Plaintext must have 1 to \(Self.plaintextBytesMax) bytes.")
    }
    var reply = KeyServiceReply(keyID: key.arn, encryptionAlgorithm: "SYMMETRIC_DEFAULT")
    reply.ciphertextBlob = Data(try seal(try SecretBytes(copying: plain), key, context))
    return reply
  }

  private func describe(_ key: KeyRing.Key) throws -> KeyServiceReply {
    let record = try key.record()
    return KeyServiceReply(
      keyMetadata: KeyServiceReply.Metadata(
        account: PolicyTemplates.account, keyID: key.id.uuidString.lowercased(), arn: key.arn,
        created: record.created, description: record.description, enabled: record.enabled))
  }

  private func seal(_ plain: SecretBytes, _ key: KeyRing.Key, _ context: [String: String]) throws -> [UInt8] {
    try plain.withUnsafeBytes {
      try CiphertextBlob.seal($0, keyID: key.id, arn: key.arn, material: key.material, context: context)
    }
  }

  /// With a recipient the plaintext leaves in its envelope alone.
  private func disclose(_ plain: SecretBytes, to recipient: VerifiedRecipient?, _ reply: inout KeyServiceReply) throws {
    if let recipient {
      reply.ciphertextForRecipient = try recipient.seal(plain)
    } else {
      reply.plaintext = plain.withUnsafeBytes { Data($0) }
    }
  }

  private func requireSymmetric(_ request: KeyServiceRequest) throws {
    guard [nil, "SYMMETRIC_DEFAULT"].contains(request.encryptionAlgorithm) else {
      throw KeyServiceError.invalidKeyUsage
    }
  }

  // MARK: Encoding

  private static func encode(_ reply: KeyServiceReply) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(reply))
  }

  private static func encode(_ error: KeyServiceError) -> [UInt8] {
    let body = ["__type": error.name, "message": error.message]
    return (try? JSONEncoder().encode(body)).map { Array($0) } ?? Array("{}".utf8)
  }
}

extension KeyServiceOperation {
  /// Whether the reply may be made for an attested recipient; elsewhere KMS knows no such member.
  fileprivate var takesRecipient: Bool { self == .decrypt || self == .generateDataKey }
}
