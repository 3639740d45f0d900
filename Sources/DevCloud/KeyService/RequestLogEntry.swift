import Logging

/// One line of devcloud's request log: what CloudTrail would show, and nothing secret.
struct RequestLogEntry {
  var principal: String?
  var action: String?
  var key: String?
  /// The enclave that a verified attestation document names.
  var module: String?
  var context: [String: String] = [:]
  var decision: PolicyDecision?
  var outcome = ""

  func write(to logger: Logger) {
    var metadata: Logger.Metadata = ["outcome": "\(outcome)"]
    if let principal { metadata["principal"] = "\(principal)" }
    if let key { metadata["key"] = "\(key)" }
    if let module { metadata["module"] = "\(module)" }
    if !context.isEmpty {
      metadata["context"] =
        "\(context.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","))"
    }
    switch decision {
    case .allowed(let sid): metadata["decision"] = "allowed by \(sid)"
    case .denied(let sid): metadata["decision"] = "denied by \(sid)"
    case .notAllowed: metadata["decision"] = "allowed by no statement"
    case nil: break
    }
    logger.notice("\(action ?? "kms request")", metadata: metadata)
  }
}
