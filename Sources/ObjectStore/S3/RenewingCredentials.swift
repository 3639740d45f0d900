import SealedCrypto
import Synchronization

/// Keeps credentials and asks for new ones before the old ones end. Any number of threads may ask.
///
/// Invariants:
/// - one renewal at a time; while it runs, everybody else goes on with credentials that are still good, and waits only
///   where there are none;
/// - a renewal that fails costs nothing while the old ones are good: they stay, and the next try is a minute later;
/// - what has no end is asked for again each minute, so that a changed file is seen.
final class RenewingCredentials: CredentialSource {
  /// New ones are asked for between 5 and 10 minutes before the end: a job that begins now still gets its keys, and a
  /// fleet that started together does not ask together. EC2 has the next ones at hand 5 minutes before.
  static let leadSeconds: Int64 = 300
  static let jitterSeconds: Int64 = 300
  /// Between two looks where the first brought nothing newer.
  static let pauseSeconds: Int64 = 60

  private struct Held {
    let value: AWSCredentials
    /// Seconds since 1970.
    var renewAt: Int64

    func isGood(at now: Int64) -> Bool { value.expiration.map { now < $0 } ?? true }
  }

  private struct State {
    var held: Held?
    var trouble: ObjectStoreError?
    /// Tries that have ended, well or not.
    var tries: UInt64 = 0
  }

  private let now: @Sendable () -> Int64
  private let jitter: @Sendable () -> Int64
  private let find: @Sendable () throws -> AWSCredentials
  private let state = Mutex(State())
  /// Held over a whole renewal, and only taken before `state`.
  private let renewal = Mutex(())

  /// - Parameters:
  ///   - now: seconds since 1970.
  ///   - jitter: 0 to ``jitterSeconds``.
  ///   - find: the credentials of now, asked anew.
  init(
    now: @escaping @Sendable () -> Int64,
    jitter: @escaping @Sendable () -> Int64 = { Int64.random(in: 0...RenewingCredentials.jitterSeconds) },
    find: @escaping @Sendable () throws -> AWSCredentials
  ) {
    self.now = now
    self.jitter = jitter
    self.find = find
  }

  var trouble: ObjectStoreError? { state.withLock { $0.trouble } }

  func credentials() throws -> AWSCredentials {
    let before = state.withLock { $0 }
    if let held = before.held, now() < held.renewAt { return held.value }
    if let held = before.held, held.isGood(at: now()) {
      // Somebody else renews already: what is good is good enough.
      return try renewal.withLockIfAvailable { _ in try renew(after: before.tries) } ?? held.value
    }
    return try renewal.withLock { _ in try renew(after: before.tries) }
  }

  /// Whoever waited for another's try takes its outcome, also a failed one: a hundred threads make one request.
  private func renew(after tries: UInt64) throws -> AWSCredentials {
    let current = state.withLock { $0 }
    if current.tries != tries {
      if let held = current.held, held.isGood(at: now()) || now() < held.renewAt { return held.value }
      if let trouble = current.trouble { throw trouble }
    }
    do {
      let found = try find()
      let held = Held(value: found, renewAt: renewAt(found))
      state.withLock { $0 = State(held: held, trouble: nil, tries: $0.tries &+ 1) }
      return found
    } catch {
      let trouble =
        error as? ObjectStoreError
        ?? ObjectStoreError(.denied, CredentialChain.action, "\(error)", mend: "see docs/operations/credentials.md")
      let good = state.withLock { state -> AWSCredentials? in
        state.tries &+= 1
        state.trouble = trouble
        guard var held = state.held, held.isGood(at: now()) else { return nil }
        held.renewAt = now() + Self.pauseSeconds
        state.held = held
        return held.value
      }
      guard let good else { throw trouble }
      return good
    }
  }

  private func renewAt(_ found: AWSCredentials) -> Int64 {
    let soon = now() + Self.pauseSeconds
    guard let end = found.expiration else { return soon }
    // Credentials that have ended by this clock are handed out all the same: the clock may be the one that is wrong, and
    // the service that judges them says so. They are only asked for again at once.
    return min(max(end - Self.leadSeconds - jitter(), soon), max(end, now() + 5))
  }
}
