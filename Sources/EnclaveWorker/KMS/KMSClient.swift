import SealedCrypto
import Synchronization
import Wire

/// How KMS is reached and what the policy asks of the way. Relay and credentials are the host's and prove nothing.
struct KMSAccess: Sendable {
  let relay: Endpoint
  let credentials: LentCredentials
  let requireHybridTLS: Bool
  let useFIPSEndpoint: Bool
}

/// The newest credentials that the host lent, one place for the whole boot: they end in the middle of a long job, and the
/// host brings new ones by another `configure`. Everything else of a job's settings stays as it was when it began.
final class LentCredentials: Sendable {
  private let value: Mutex<AWSCredentials>

  init(_ value: AWSCredentials) { self.value = Mutex(value) }

  var newest: AWSCredentials { value.withLock { $0 } }

  func renew(_ renewed: AWSCredentials) { value.withLock { $0 = renewed } }
}

/// A new data key: wrapped for the stanza, and in guarded memory.
struct KMSDataKey: Sendable {
  let ciphertextBlob: [UInt8]
  let secret: SecretBytes
}

/// Asks KMS for data keys that only this enclave can read.
///
/// For each request: a fresh RSA-2048 key pair, an attestation document over it (`user_data` null), TLS that ends here.
/// The reply must name the very key that was asked for, must carry no key in clear, and opens with that RSA key alone.
/// A request that KMS throttles or that got lost is made again, from the key pair on, until the deadline of the whole.
final class KMSClient: Sendable {
  private let module: any SecurityModule
  private let transport: KMSTransport
  private let patience: KMSPatience

  /// - Throws: ``ImageError`` when `rootsPEM` holds no certificate.
  init(module: any SecurityModule, rootsPEM: [UInt8], patience: KMSPatience = KMSPatience()) throws {
    self.module = module
    self.patience = patience
    transport = try KMSTransport(rootsPEM: rootsPEM)
  }

  /// A data key for one new file.
  ///
  /// - Throws: ``KMSFault``, ``SecurityModuleError``, ``SecretMemoryError``.
  func generateDataKey(under key: KMSKeyARN, context: KMSEncryptionContext, access: KMSAccess) throws -> KMSDataKey {
    let (response, secret) = try call(.generateDataKey, key, access) {
      .generateDataKey(key, context: context, recipient: $0)
    }
    guard let blob = response.ciphertextBlob, 1...KMSStanza.ciphertextBlobBytes ~= blob.count else {
      throw KMSFault.badReply("no CiphertextBlob")
    }
    return KMSDataKey(ciphertextBlob: Array(blob), secret: secret)
  }

  /// The data key of a stanza's blob.
  ///
  /// - Throws: ``KMSFault``, ``SecurityModuleError``, ``SecretMemoryError``.
  func decrypt(
    _ blob: [UInt8], under key: KMSKeyARN, context: KMSEncryptionContext, access: KMSAccess
  ) throws -> SecretBytes {
    try call(.decrypt, key, access) { .decrypt(blob, key: key, context: context, recipient: $0) }.1
  }

  private func call(
    _ action: KMSAction, _ key: KMSKeyARN, _ access: KMSAccess, _ request: (KMSRecipient) -> KMSRequest
  ) throws -> (KMSResponse, SecretBytes) {
    let deadline = ContinuousClock.now + patience.whole
    var attempt = 1
    while true {
      do {
        return try callOnce(action, key, access, until: min(deadline, ContinuousClock.now + patience.attempt), request)
      } catch let fault as KMSFault where fault.passes {
        let rest = patience.rest(after: attempt)
        // A pause that leaves no time for a whole exchange would only delay the answer.
        guard attempt < patience.attempts, ContinuousClock.now + rest + patience.shortest < deadline else {
          throw fault
        }
        pause(milliseconds: UInt32(clamping: rest.wholeMilliseconds))
        attempt += 1
      }
    }
  }

  private func callOnce(
    _ action: KMSAction, _ key: KMSKeyARN, _ access: KMSAccess, until deadline: ContinuousClock.Instant,
    _ request: (KMSRecipient) -> KMSRequest
  ) throws -> (KMSResponse, SecretBytes) {
    let recipientKey = try KMSRecipientKey()
    let document = try module.attest(publicKey: recipientKey.subjectPublicKeyInfo)
    let now = try type(of: module).timestamp(of: document)
    if let reason = SystemClock.disagreement(withModuleMs: now) { throw KMSFault.clock(reason) }
    let body = try request(KMSRecipient(attestationDocument: document)).encoded()
    let host = key.serverName(fips: access.useFIPSEndpoint)
    let headers = [("Content-Type", KMSAction.contentType), ("X-Amz-Target", action.target)]
    let signature = SigV4Signer(credentials: access.credentials.newest, region: key.region, service: "kms").sign(
      method: "POST", host: host, path: "/", headers: headers, payload: .body(body), at: Int64(now / 1000))
    let response = try transport.post(
      KMSHTTPRequest(serverName: host, headers: headers + signature, body: body), through: access.relay,
      hybridOnly: access.requireHybridTLS, until: deadline)
    let reply = try Self.reply(response)
    return (reply, try Self.secret(of: reply, from: key, for: recipientKey))
  }

  /// What a reply must be before its key is used.
  private static func secret(
    of reply: KMSResponse, from key: KMSKeyARN, for recipientKey: KMSRecipientKey
  ) throws -> SecretBytes {
    guard reply.keyID == key.text else { throw KMSFault.badReply("it names another key than the policy's") }
    // AWS documents the field as null or empty when a recipient is named.
    guard reply.plaintext?.isEmpty ?? true else { throw KMSFault.badReply("it carries the key in clear") }
    guard let envelope = reply.ciphertextForRecipient else { throw KMSFault.badReply("it carries no key") }
    do {
      let secret = try KMSEnvelope.open(Array(envelope), with: recipientKey)
      guard secret.count == KMSStanza.dataKeyBytes else {
        throw KMSFault.badReply("a data key of \(secret.count) bytes")
      }
      return secret
    } catch let error as KMSEnvelopeError {
      throw KMSFault.badReply("its envelope: \(error.reason)")
    }
  }

  private static func reply(_ response: KMSHTTPResponse) throws -> KMSResponse {
    guard response.status == 200 else {
      guard let name = KMSErrorName(json: response.body), name.meaning != .other || response.status < 500 else {
        // A 4xx without KMS's name for it is none of KMS's own refusals, so it decides nothing either.
        throw KMSFault.busy("HTTP status \(response.status)")
      }
      throw KMSFault(name)
    }
    do { return try KMSResponse(json: response.body) } catch { throw KMSFault.badReply("it is not KMS's JSON") }
  }
}
