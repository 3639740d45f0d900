import FoundationEssentials
import Wire

/// `jobs/<name>/commit.json`: which attempt is the job's result. Written once by the host; a reader takes it as a
/// pointer and verifies what it points at.
package struct CommitRecord: Codable, Equatable, Sendable {
  /// The attempt whose folder holds the result.
  package let attempt: Int64
  /// What the receipt says, repeated by the host.
  package let outcome: String
  /// SHA-256 of `receipt.cose`, lower-case hexadecimal.
  package let receiptSHA256: String

  package init(attempt: Int64, outcome: String, receiptSHA256: String) {
    self.attempt = attempt
    self.outcome = outcome
    self.receiptSHA256 = receiptSHA256
  }

  enum CodingKeys: String, CodingKey {
    case attempt, outcome
    case receiptSHA256 = "receipt_sha256"
  }
}

extension CommitRecord {
  package init(_ commit: JobCommit) {
    self.init(attempt: commit.attempt, outcome: commit.outcome.rawValue, receiptSHA256: commit.receipt.hex)
  }

  /// The commit; nil when the record says what no daemon writes.
  package var commit: JobCommit? {
    guard attempt >= 0, let outcome = JobOutcome(rawValue: outcome), let receipt = ContentDigest(hex: receiptSHA256)
    else { return nil }
    return JobCommit(attempt: attempt, outcome: outcome, receipt: receipt)
  }
}

/// `jobs/<name>/state.json`: what the host says of a job. Coarse and unsigned.
package struct JobStateRecord: Codable, Equatable, Sendable {
  /// A state of the host's queue, such as `ready` or `running`.
  package let state: String
  /// Attempts so far.
  package let attempt: Int64
  /// Items done in this attempt.
  package let done: UInt64
  /// When the host wrote this, milliseconds since 1970.
  package let updatedMs: Int64

  package init(state: String, attempt: Int64, done: UInt64, updatedMs: Int64) {
    self.state = state
    self.attempt = attempt
    self.done = done
    self.updatedMs = updatedMs
  }

  enum CodingKeys: String, CodingKey {
    case state, attempt, done
    case updatedMs = "updated_ms"
  }
}

/// JSON of the small records, with sorted keys so that equal records are equal bytes.
package enum StoreRecord {
  /// Longest record that is read.
  package static let limitBytes = 4096

  package static func encode(_ record: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return Array(try encoder.encode(record))
  }

  package static func decode<Record: Decodable>(_ type: Record.Type, _ bytes: [UInt8]) throws -> Record {
    try JSONDecoder().decode(type, from: Data(bytes))
  }
}
