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
/// when the key, the policy in the store or the list of epochs changed, what is missing is handed over. Nothing here is
/// trusted by the worker: it verifies the policy and opens seeds only through KMS.
final class WorkerSupervisor: @unchecked Sendable {
  private let client: WorkerClient
  private let store: any ObjectStore
  private let relay: Endpoint
  private let credentials: @Sendable () throws -> AWSCredentials
  private let log: Logger
  private let lock = NSLock()
  /// What the worker of this boot was given; guarded by `lock`.
  private var boot: VerifyingKey?
  private var policy: [UInt8] = []
  private var refusedEpochs: Set<UInt64> = []

  init(
    client: WorkerClient, store: any ObjectStore, relay: Endpoint,
    credentials: @escaping @Sendable () throws -> AWSCredentials, log: Logger
  ) {
    self.client = client
    self.store = store
    self.relay = relay
    self.credentials = credentials
    self.log = log
  }

  /// Brings the worker to where it can run a job; cheap when nothing changed.
  ///
  /// - Throws: ``WorkerNotReady`` when the worker refuses what it is given, otherwise what store or channel throw.
  func makeReady() throws {
    lock.lock()
    defer { lock.unlock() }
    var status = try currentStatus()
    let newest = try policyBytes()
    if boot != status.key || policy != newest || status.policyDigest == nil {
      if boot != status.key { refusedEpochs = [] }
      try configure(newest)
      boot = status.key
      policy = newest
      status = try currentStatus()
    }
    try loadEpochs(known: Set(status.epochs))
  }

  /// Forgets what the worker was given, so that it is given again: after a lost connection or a failed exchange.
  func forget() {
    lock.lock()
    defer { lock.unlock() }
    boot = nil
  }

  private func currentStatus() throws -> StatusClaims {
    let reply = try client.perform(.status(nonce: []))
    guard let bytes = reply.statement else { throw WorkerNotReady(description: "the worker gave no status") }
    // Unverified on purpose: the host needs no proof of its own worker, it only wants to know what to hand over.
    return try UnverifiedStatement<StatusClaims>(bytes).signedByItsOwnKey().signed.claims
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

  private func configure(_ policy: [UInt8]) throws {
    let credentials = try credentials()
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

  private func loadEpochs(known: Set<UInt64>) throws {
    let stored = try storedEpochs()
    let usable = stored.suffix(Limits.epochs)
    for epoch in usable where !known.contains(epoch) && !refusedEpochs.contains(epoch) {
      guard let announcement = try announcement(of: epoch) else { continue }
      let seed = try store.getSmall(try ObjectKey(StoreLayout.seed(epoch)))
      let reply = try client.perform(.loadEpoch(seed: seed, announcement: announcement))
      switch reply.code {
      case .ok: log.info("epoch loaded", metadata: ["epoch": "\(epoch)"])
      case .retry: throw WorkerNotReady(description: "the worker could not reach KMS to open epoch \(epoch)")
      case .refused, .failed:
        refusedEpochs.insert(epoch)
        log.warning(
          "the worker refuses an epoch: it has ended, or the KMS key policy does not allow this worker's measurements",
          metadata: ["epoch": "\(epoch)"])
      }
    }
    if try !hasCurrentAnnouncement(stored) { try createEpoch((stored.last ?? 0) + 1) }
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

  /// Whether clients have an epoch to seal to, of those the worker can open.
  private func hasCurrentAnnouncement(_ stored: [UInt64]) throws -> Bool {
    let now = UInt64(max(0, Date().timeIntervalSince1970 * 1000))
    for epoch in stored.reversed() where !refusedEpochs.contains(epoch) {
      guard let bytes = try announcement(of: epoch),
        let claims = try? UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey().signed.claims
      else { continue }
      if claims.notAfterMs > now { return true }
    }
    return false
  }

  /// Nil for a seed whose announcement was never stored: nobody has sealed to it.
  private func announcement(of epoch: UInt64) throws -> [UInt8]? {
    do {
      return try store.getSmall(try ObjectKey(StoreLayout.announcement(epoch)))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }

  private func createEpoch(_ number: UInt64) throws {
    let reply = try client.perform(.createEpoch(number))
    guard reply.code == .ok, let seed = reply.seed, let announcement = reply.statement else {
      let reason =
        reply.code == .retry
        ? "KMS cannot be reached through the relay, or throttles"
        : "KMS or the policy refuses it: the epoch key's policy must allow this worker's measurements"
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
