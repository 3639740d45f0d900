import Foundation
import Logging
import ObjectStore
import SealedCrypto
import Wire

/// Why the worker cannot take jobs now.
struct WorkerNotReady: Error, CustomStringConvertible {
  /// For the operator: what failed and what to do.
  let description: String
}

/// Keeps one worker supplied: policy, relay, credentials, epochs.
///
/// The worker forgets everything when it restarts, and then has another boot key. So before a job its status is asked;
/// when the key, the policy in the store, the credentials or the list of epochs changed, what is missing is handed over.
/// Nothing here is trusted by the worker: it verifies the policy and opens seeds only through KMS.
final class WorkerSupervisor: @unchecked Sendable {
  /// What the worker was configured with.
  private struct Given: Equatable {
    let boot: VerifyingKey
    let policy: [UInt8]
    let accessKeyID: String
    let sessionToken: String?
  }

  private let client: WorkerClient
  private let store: any ObjectStore
  private let relay: Endpoint
  private let policyKey: VerifyingKey?
  private let credentials: any CredentialSource
  /// Told each policy in force, before the worker is configured with it.
  private let onPolicy: @Sendable (PolicyClaims) -> Void
  private let log: Logger
  /// Held over a whole look, so that two never hand over at once. The executor's thread alone asks.
  private let lock = NSLock()
  /// Guarded by `lock`, like all below.
  private var given: Given?
  /// Of the worker's last status.
  private var facts: WorkerFacts?
  private var readyAt: ContinuousClock.Instant?
  /// Epochs that the worker refused or need not be asked to take, and since when: a key policy may be mended.
  private var refusals: [UInt64: ContinuousClock.Instant] = [:]
  private var renewalFailedAt: ContinuousClock.Instant?
  private static let refusalAge = Duration.seconds(600)
  private static let renewalPause = Duration.seconds(60)

  /// - Parameters:
  ///   - policyKey: lets the host see that the policy has ended, before it costs jobs their attempts.
  ///   - credentials: asked at each look; they must be good for the minutes in which a job asks KMS.
  ///   - onPolicy: told each policy that verifies under `policyKey`.
  init(
    client: WorkerClient, store: any ObjectStore, relay: Endpoint, policyKey: VerifyingKey?,
    credentials: any CredentialSource, onPolicy: @escaping @Sendable (PolicyClaims) -> Void, log: Logger
  ) {
    self.client = client
    self.store = store
    self.relay = relay
    self.policyKey = policyKey
    self.credentials = credentials
    self.onPolicy = onPolicy
    self.log = log
  }

  /// Brings the worker to where it can run a job; cheap when nothing changed.
  ///
  /// - Parameter maximumAge: a look that found it ready so short a time ago is enough.
  /// - Throws: ``WorkerNotReady`` when the worker refuses what it is given, otherwise what store or channel throw.
  func makeReady(maximumAge: Duration = .zero) throws {
    lock.lock()
    defer { lock.unlock() }
    if let readyAt, ContinuousClock.now - readyAt < maximumAge { return }
    readyAt = nil
    var status = try currentStatus()
    let policy = try policyBytes()
    let claims = try claimsInForce(of: policy)
    if let claims { onPolicy(claims) }
    let credentials = try credentials.credentials()
    let wanted = Given(
      boot: status.key, policy: policy, accessKeyID: credentials.accessKeyID, sessionToken: credentials.sessionToken)
    if given != wanted || status.policyDigest == nil {
      if given?.boot != wanted.boot || given?.policy != wanted.policy { refusals = [:] }
      given = nil
      try configure(policy, credentials)
      given = wanted
      status = try currentStatus()
    }
    try loadEpochs(known: Set(status.epochs), under: claims)
    readyAt = ContinuousClock.now
  }

  /// Hands renewed credentials to a worker that is configured, also while it runs a job: the worker's running job takes
  /// them over (its policy stays). Does nothing while the old ones need no renewal, or where nothing was handed over yet.
  ///
  /// - Throws: what the credentials' source or the channel throw, ``WorkerNotReady``; the next look starts over then.
  func renewCredentials() throws {
    lock.lock()
    defer { lock.unlock() }
    guard let old = given else { return }
    let credentials = try credentials.credentials()
    let renewed = Given(
      boot: old.boot, policy: old.policy, accessKeyID: credentials.accessKeyID, sessionToken: credentials.sessionToken)
    guard renewed != old else { return }
    given = nil
    try configure(old.policy, credentials)
    given = renewed
  }

  /// The next ``makeReady(maximumAge:)`` looks again: after a lost connection or a failed exchange.
  func forget() {
    lock.lock()
    defer { lock.unlock() }
    readyAt = nil
  }

  private func currentStatus() throws -> StatusClaims {
    let reply = try client.perform(.status(nonce: []))
    guard let bytes = reply.statement else { throw WorkerNotReady(description: "the worker gave no status") }
    // Unverified on purpose: the host needs no proof of its own worker, it only wants to know what to hand over.
    let status = try UnverifiedStatement<StatusClaims>(bytes).signedByItsOwnKey()
    facts = WorkerFacts(document: status.document)
    return status.signed.claims
  }

  /// Why the worker did not do what it was asked for: its advice in an operator's words, or `otherwise`.
  private func reason(_ reply: WorkerReply, under policy: PolicyClaims?, otherwise: String) -> String {
    guard let advice = reply.advice else { return otherwise }
    return advice.text(key: policy?.epochKey, accessKeyID: given?.accessKeyID, facts: facts)
  }

  private func policyBytes() throws -> [UInt8] {
    do {
      return try store.getSmall(try ObjectKey(StoreLayout.policy))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      throw WorkerNotReady(
        description: "the store has no \(StoreLayout.policy): the security officer signs one and puts it there "
          + "(ephemeral policy sign)")
    }
  }

  /// What the policy says, where the host has its key and it verifies; the worker judges it in any case.
  ///
  /// - Throws: ``WorkerNotReady`` for one that has ended: every job would only cost its attempts.
  private func claimsInForce(of policy: [UInt8]) throws -> PolicyClaims? {
    guard let policyKey,
      let claims = try? UnverifiedStatement<PolicyClaims>(policy).verified(by: policyKey).claims
    else { return nil }
    guard claims.notAfterMs > nowMs else {
      throw WorkerNotReady(
        description: "the policy in the store has ended: the security officer signs a new one (ephemeral policy sign)")
    }
    return claims
  }

  private var nowMs: UInt64 { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }

  private func configure(_ policy: [UInt8], _ credentials: AWSCredentials) throws {
    let reply = try credentials.secret.withUnsafeBytes { secret in
      try client.perform(
        .configure(
          WorkerConfiguration(
            policy: policy, relay: relay, accessKeyID: credentials.accessKeyID, secretAccessKey: Array(secret),
            sessionToken: credentials.sessionToken)))
    }
    guard reply.code == .ok else {
      throw WorkerNotReady(
        description: "the worker refuses the policy of the store: it is expired, older than one it has seen, or not "
          + "signed by the key in the worker's image; ask the security officer")
    }
    log.info("worker configured", metadata: ["worker": "\(client.endpoint)"])
  }

  private func loadEpochs(known: Set<UInt64>, under policy: PolicyClaims?) throws {
    let minimum = policy?.minimumEpoch ?? 0
    let stored = try storedEpochs().filter { $0 >= minimum }
    for epoch in stored.suffix(Limits.epochs) where !known.contains(epoch) && !isRefused(epoch) {
      guard let announcement = try announcement(of: epoch), !hasEnded(announcement, under: policy) else {
        // Nobody has sealed to it, or nobody may any more: it costs no call to KMS, and is not looked up each time.
        refusals[epoch] = ContinuousClock.now
        continue
      }
      let seed = try store.getSmall(try ObjectKey(StoreLayout.seed(epoch)))
      let reply = try client.perform(.loadEpoch(seed: seed, announcement: announcement))
      switch reply.code {
      case .ok:
        refusals[epoch] = nil
        log.info("epoch loaded", metadata: ["epoch": "\(epoch)"])
      case .retry:
        let reason = reason(reply, under: policy, otherwise: "the worker could not ask KMS")
        throw WorkerNotReady(description: "epoch \(epoch) is not open: \(reason)")
      case .refused, .failed:
        if refusals.updateValue(ContinuousClock.now, forKey: epoch) == nil {
          let reason = reason(
            reply, under: policy, otherwise: "it has ended, or its seed or announcement is not what the policy asks for"
          )
          log.warning("the worker refuses an epoch: \(reason)", metadata: ["epoch": "\(epoch)"])
        }
      }
    }
    let last = stored.last ?? 0
    try renewAnnouncement(stored, next: max(last == .max ? last : last + 1, minimum), under: policy)
  }

  /// Whether an epoch is past its end and the grace: the worker would have KMS open its seed only to refuse it.
  private func hasEnded(_ announcement: [UInt8], under policy: PolicyClaims?) -> Bool {
    guard let policy,
      let claims = try? UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
    else { return false }
    let (end, overflow) = claims.notAfterMs.addingReportingOverflow(policy.epochGraceMs)
    return !overflow && end < nowMs
  }

  private func isRefused(_ epoch: UInt64) -> Bool {
    guard let refusedAt = refusals[epoch] else { return false }
    return ContinuousClock.now - refusedAt < WorkerSupervisor.refusalAge
  }

  /// Makes the next epoch when clients have none to seal to, and already in the last quarter of the newest one's time: a
  /// long job lets nobody look here for hours.
  private func renewAnnouncement(_ stored: [UInt64], next: UInt64, under policy: PolicyClaims?) throws {
    let now = nowMs
    guard let current = try newestAnnouncement(stored), current.notAfterMs > now else {
      return try createEpoch(next, under: policy)
    }
    let validity = current.notAfterMs - min(current.notBeforeMs, current.notAfterMs)
    if current.notAfterMs - now > validity / 4 { return }
    if let renewalFailedAt, ContinuousClock.now - renewalFailedAt < WorkerSupervisor.renewalPause { return }
    do {
      try createEpoch(next, under: policy)
    } catch {
      // Clients can still seal and jobs can run: this one waits.
      renewalFailedAt = ContinuousClock.now
      log.warning("the newest epoch ends soon and has no successor: \(error)", metadata: ["epoch": "\(current.epoch)"])
    }
  }

  /// Numbers of the epochs whose seed is stored, in order.
  private func storedEpochs() throws -> [UInt64] {
    var epochs: Set<UInt64> = []
    try store.forEach(prefix: StoreLayout.epochs) { info in
      let parts = info.key.text.split(separator: "/")
      if parts.count == 3, let number = UInt64(parts[1]), parts[2] == "seed.age" { epochs.insert(number) }
      return true
    }
    return epochs.sorted()
  }

  /// The announcement of the newest epoch that the worker can open.
  private func newestAnnouncement(_ stored: [UInt64]) throws -> AnnouncementClaims? {
    for epoch in stored.reversed() where refusals[epoch] == nil {
      guard let bytes = try announcement(of: epoch),
        let claims = try? UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey().signed.claims
      else { continue }
      return claims
    }
    return nil
  }

  /// Nil for a seed whose announcement was never stored: nobody has sealed to it.
  private func announcement(of epoch: UInt64) throws -> [UInt8]? {
    do {
      return try store.getSmall(try ObjectKey(StoreLayout.announcement(epoch)))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }

  private func createEpoch(_ number: UInt64, under policy: PolicyClaims?) throws {
    let reply = try client.perform(.createEpoch(number))
    guard reply.code == .ok, let seed = reply.seed, let announcement = reply.statement else {
      let reason = reason(
        reply, under: policy,
        otherwise: reply.code == .retry
          ? "the worker has no policy in force, or its security module does not answer"
          : "the policy does not permit the epoch, or the worker holds too many")
      throw WorkerNotReady(description: "no epoch \(number) could be made: \(reason)")
    }
    // The seed first: an announcement without it would be a key that nobody can ever open.
    guard try store.put(try ObjectKey(StoreLayout.seed(number)), seed, .ifAbsent) == .written else {
      throw WorkerNotReady(description: "epoch \(number) was made by another daemon at the same time; trying again")
    }
    _ = try store.put(try ObjectKey(StoreLayout.announcement(number)), announcement, .ifAbsent)
    log.info("epoch made and announced", metadata: ["epoch": "\(number)"])
  }
}
