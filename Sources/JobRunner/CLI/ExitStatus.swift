/// The exit codes of every command.
enum ExitStatus: Int32, Sendable {
  case done = 0
  case other = 1
  /// Something was left out, or some items failed.
  case partial = 3
  case jobFailed = 4
  case retryable = 5
  case timedOut = 6
  case notFound = 10
  /// Attestation or policy says no.
  case rejected = 20
  /// A receipt or a sealed file is not what it should be.
  case invalid = 21
  case usage = 64
}
