import SealedCrypto
import Wire

/// Why KMS gave no data key. Reasons name neither credentials nor key material.
enum KMSFault: Error, Equatable, CustomStringConvertible {
  /// Nothing was decided: no connection, a stall.
  case unreachable(String)
  /// Whoever is at the relay did not prove to be KMS: certificate, server name, TLS version or key exchange.
  case notKMS(String)
  /// Throttled, or KMS is in trouble itself.
  case busy(String)
  /// The host's credentials have ended.
  case credentialsExpired(String)
  /// KMS does not know the host's credentials, or they do not fit together.
  case credentialsInvalid(String)
  /// The clocks differ: this system's, the security module's, KMS's.
  case clock(String)
  /// The key's policy does not permit this enclave to use the key.
  case denied(String)
  /// The key does not exist, is disabled, or waits for its deletion.
  case keyUnusable(String)
  /// The ciphertext is of another key or another encryption context, or is none.
  case wrongCiphertext(String)
  /// KMS does not take the request, for a reason that is none of the above.
  case rejected(String)
  /// KMS's answer breaks what was asked: another key, a key in clear, an envelope that does not open.
  case badReply(String)

  /// KMS's own refusal.
  init(_ name: KMSErrorName) {
    self =
      switch name.meaning {
      case .busy: .busy(name.name)
      case .credentialsExpired: .credentialsExpired(name.name)
      case .credentialsInvalid: .credentialsInvalid(name.name)
      case .clockSkew: .clock("KMS: \(name.name)")
      case .denied: .denied(name.name)
      case .keyUnusable: .keyUnusable(name.name)
      case .wrongCiphertext: .wrongCiphertext(name.name)
      case .invalid, .other: .rejected(name.name)
      }
  }

  var description: String {
    switch self {
    case .unreachable(let reason): "KMS cannot be reached: \(reason)"
    case .notKMS(let reason): "the relay does not lead to KMS: \(reason)"
    case .busy(let name): "KMS is busy: \(name)"
    case .credentialsExpired(let name): "KMS: \(name): the host's credentials have ended"
    case .credentialsInvalid(let name): "KMS: \(name): the host's credentials are not valid"
    case .clock(let reason): reason
    case .denied(let name): "KMS: \(name): the key's policy does not permit this enclave; ask the key's owner"
    case .keyUnusable(let name): "KMS: \(name): the key cannot be used; ask the key's owner"
    case .wrongCiphertext(let name): "KMS: \(name): it was not sealed under this key for this use"
    case .rejected(let name): "KMS: \(name)"
    case .badReply(let reason): "KMS's reply: \(reason)"
    }
  }

  /// Whether the very same call may succeed in a moment.
  var passes: Bool {
    switch self {
    case .busy, .unreachable: true
    default: false
    }
  }

  /// What the host is told. What the host lent (relay, credentials, clock) decides nothing about a job; what the key's
  /// owner set is a refusal.
  var asWorkerFault: WorkerFault {
    switch self {
    case .unreachable: .retry("\(self)", advice: .relayUnreachable)
    case .notKMS: .retry("\(self)", advice: .relayNotKMS)
    case .busy: .retry("\(self)", advice: .kmsBusy)
    case .credentialsExpired: .retry("\(self)", advice: .credentialsExpired)
    case .credentialsInvalid: .retry("\(self)", advice: .credentialsInvalid)
    case .clock: .retry("\(self)", advice: .clock)
    case .denied: .refused("\(self)", advice: .keyDenied)
    case .keyUnusable: .refused("\(self)", advice: .keyUnusable)
    case .wrongCiphertext: .failed("\(self)", advice: .wrongCiphertext)
    case .rejected: .failed("\(self)", advice: .requestInvalid)
    case .badReply: .failed("\(self)", advice: .replyInvalid)
    }
  }
}
