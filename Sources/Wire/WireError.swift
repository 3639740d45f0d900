/// What is wrong with bytes that came from outside. `description` names the reason and the place, never content.
package enum WireError: Error, Equatable, CustomStringConvertible, Sendable {
  /// Not well-formed, or not in the one deterministic form.
  case malformed(String)
  /// Ended before what was announced.
  case truncated(String)
  /// Over a limit; nothing of it was allocated.
  case tooLarge(String, limit: Int)
  /// The peer closed or reset the connection, or the descriptor failed.
  case connectionLost(String)
  /// Nothing moved before the deadline.
  case timedOut(String)

  package var description: String {
    switch self {
    case .malformed(let reason): "malformed: \(reason)"
    case .truncated(let what): "\(what): ended too early"
    case .tooLarge(let what, let limit): "\(what): over the limit of \(limit)"
    case .connectionLost(let what): "connection lost: \(what)"
    case .timedOut(let what): "timed out: \(what)"
    }
  }
}
