/// Every bound on a peer's bytes stands here; `LimitsTests` asserts how they relate.
package enum Limits {
  /// Payload of one data frame, and the unit in which streams are moved.
  package static let chunkBytes = 64 << 10
  /// One frame on a channel: a chunk, or the largest small object (a policy, a receipt) with room for its envelope.
  package static let frameBytes = smallObjectBytes + (4 << 10)
  /// A signed statement, a policy, an announcement, a seed file: whatever is held whole in memory.
  package static let smallObjectBytes = 512 << 10
  /// Nesting of CBOR arrays, maps and tags.
  package static let cborDepth = 16
  /// Elements of one CBOR array or map.
  package static let cborElements = 1 << 16
  /// An attestation document; real ones are about 4.5 KB.
  package static let attestationBytes = 16 << 10
  /// One line of a batch input, in bytes without its newline.
  package static let inputLineBytes = 1 << 20
  /// Items of one job.
  package static let itemsPerJob = 1_000_000
  /// Bytes of one job's input.
  package static let inputBytes: UInt64 = 16 << 30
  /// Files of one model.
  package static let modelFiles = 64
  /// A model file that stands in clear (configuration, tokenizer).
  package static let clearModelFileBytes = 32 << 20
  /// Weights of one model.
  package static let weightBytes: UInt64 = 64 << 30
  /// Recipients of a job's results (an age header holds 20 stanzas).
  package static let recipients = 16
  /// Certificates of a bundle in an attestation document.
  package static let certificates = 16
  /// Epoch keys that one worker holds.
  package static let epochs = 32
  /// How far an epoch's number may lie above the policy's minimum. The host picks the numbers: without this bound one of
  /// them would outlive every later minimum, and the policy could never revoke it.
  package static let epochsAboveMinimum: UInt64 = 1 << 20
  /// Models that one worker keeps in memory.
  package static let cachedModels = 2
}
