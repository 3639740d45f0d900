import Glibc

/// Coarse lines on standard error: what the host may know anyway. No id from inside, no payload, no secret, no detail
/// of a refusal.
enum Log {
  /// The events that are logged at all; there is no free text.
  enum Event: String {
    case listening, configured
    case configureRefused = "configure refused"
    case epochCreated = "epoch created"
    case epochLoaded = "epoch loaded"
    case epochDropped = "epoch dropped"
    case jobStarted = "job started"
    case jobEnded = "job ended"
    case jobInterrupted = "job interrupted"
    case hostLost = "host lost"
  }

  /// A model that does not fit: the host knows how large its files are, and how much memory it gave.
  static func note(_ shortage: MemoryShortage) { line("\(shortage)") }

  static func note(_ event: Event) { line(event.rawValue) }

  /// Why the worker does not start: arguments, image, security module. There is no job yet that it could speak of.
  static func fatal(_ reason: String) { line(reason) }

  private static func line(_ text: String) {
    let line = Array("enclave-worker: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
  }
}
