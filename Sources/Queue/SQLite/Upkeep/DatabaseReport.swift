/// What a check found.
package struct DatabaseReport: Hashable, Sendable {
  package let version: DatabaseVersion
  /// Size of the file.
  package let bytes: Int64
  /// Jobs in it; nil where they cannot be counted.
  package let jobs: Int64?
  /// The worst first.
  package let findings: [DatabaseFinding]

  /// Whether nothing in it is damaged; warnings do not count.
  package var isSound: Bool { findings.allSatisfy { $0.severity != .damage } }
}

/// One thing that is not as it should be.
package struct DatabaseFinding: Hashable, Sendable {
  package enum Severity: String, Sendable {
    /// The file holds what this program never writes.
    case damage
    /// It is usable, and somebody should know.
    case warning
  }

  package let severity: Severity
  /// One word or two for programs, such as `integrity`.
  package let code: String
  /// What is wrong, with names of jobs where there are any.
  package let words: String
  /// What to do about it.
  package let remedy: String
}
