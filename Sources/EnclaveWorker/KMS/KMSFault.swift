/// Why KMS gave no data key. Reasons name neither credentials nor key material.
enum KMSFault: Error, Equatable, CustomStringConvertible {
  /// Nothing was decided: no connection, a stall, throttling, credentials that the host must renew.
  case retryable(String)
  /// Whoever is at the relay did not prove to be KMS: certificate, server name, TLS version or key exchange.
  case notKMS(String)
  /// The key's policy does not permit this enclave to use the key.
  case denied(String)
  /// KMS refused the request for another reason, such as `InvalidCiphertextException` for a wrong encryption context.
  case rejected(String)
  /// KMS's answer breaks what was asked: another key, a key in clear, an envelope that does not open.
  case badReply(String)

  var description: String {
    switch self {
    case .retryable(let reason): "KMS: \(reason)"
    case .notKMS(let reason): "the relay does not lead to KMS: \(reason)"
    case .denied(let name): "KMS: \(name): the key's policy does not permit this enclave; ask the key's owner"
    case .rejected(let name): "KMS: \(name)"
    case .badReply(let reason): "KMS's reply: \(reason)"
    }
  }

  /// What the host is told. A relay that leads elsewhere decides nothing about a job.
  var asWorkerFault: WorkerFault {
    switch self {
    case .retryable, .notKMS: .retry("\(self)")
    case .denied: .refused("\(self)")
    case .rejected, .badReply: .failed("\(self)")
    }
  }
}
