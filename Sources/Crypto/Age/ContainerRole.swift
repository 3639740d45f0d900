/// What a container of this product is, and with it the recipients it may have (protocol §3).
///
/// The age reader below allows whatever the specification allows; these rules stand above it and are checked before a
/// key is used.
package enum ContainerRole: Equatable, Sendable {
  /// A sealed job: exactly one `mlkem768x25519`, the sealing key.
  case bundle
  /// A result file: only `mlkem768x25519`, one for each recipient of the job's manifest; nil where the manifest is not
  /// known before the file is open (its caller compares the number afterwards).
  case result(recipientCount: Int?)
  /// An epoch's seed: exactly one `ephemeralml-kms-v1`.
  case epochSeed
  /// A model file: exactly one `ephemeralml-kms-v1`.
  case modelFile

  /// - Throws: ``AgeError`` of kind `role` for any other kind or number of stanzas.
  package func check(_ header: AgeHeader) throws {
    switch self {
    case .bundle: try require(HybridStanza.type, count: 1, in: header)
    case .result(let recipientCount): try require(HybridStanza.type, count: recipientCount, in: header)
    case .epochSeed, .modelFile: try require(KMSStanza.type, count: 1, in: header)
    }
  }

  private func require(_ type: String, count: Int?, in header: AgeHeader) throws {
    for (index, stanza) in header.stanzas.enumerated() where stanza.type != type {
      throw AgeError(.role, "\(name) takes stanzas of type \(type) only", at: "stanza \(index + 1)")
    }
    if let count, header.stanzas.count != count {
      throw AgeError(.role, "\(name) takes \(count) stanzas of type \(type), this one has \(header.stanzas.count)")
    }
  }

  private var name: String {
    switch self {
    case .bundle: "a bundle"
    case .result: "a result file"
    case .epochSeed: "an epoch seed file"
    case .modelFile: "a model file"
    }
  }
}
