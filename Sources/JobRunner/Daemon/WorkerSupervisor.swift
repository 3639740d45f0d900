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
/// The worker forgets everything when it restarts, and then has another boot key. So its status is asked, before each
/// job and every few seconds; when the key, the policy in the store, the credentials or the list of epochs changed, what
/// is missing is handed over. A job that runs meanwhile goes on under the policy that it began with. Nothing here is
/// trusted by the worker: it verifies the policy and opens seeds only through KMS.
final class WorkerSupervisor: @unchecked Sendable {
  /// What the worker was configured with.
  private struct Given: Equatable {
    let boot: VerifyingKey
    let policy: HeldPolicy
    let accessKeyID: String
    let sessionToken: String?
  }

  /// What operators call the worker.
  let name: String
  let client: WorkerClient
  private let relay: Endpoint
  private let credentials: any CredentialSource
  /// Told each policy in force, before the worker is configured with it.
  private let onPolicy: @Sendable (PolicyClaims) -> Void
  /// Told the image's short name and the policy's version of each status.
  private let onStatus: @Sendable (String?, UInt64?) -> Void
  /// Told when the worker holds other epochs than at the last look.
  private let onKeys: @Sendable () -> Void
  let log: Logger
  /// Held over a whole look, so that two never hand over at once.
  private let lock = NSLock()
  /// Guarded by `lock`, like all below.
  private let policies: StorePolicy
  private var given: Given?
  /// Of the worker's last status.
  private var facts: WorkerFacts?
  private var readyAt: ContinuousClock.Instant?
  private var lastHeld: Set<UInt64> = []
  private var complaint = Complaint()
  var renewalFailedAt: ContinuousClock.Instant?
  let shelf: EpochShelf
  /// What came of the last look, for those who must not wait for the next.
  let board = WorkerBoard()
  /// Epochs that the worker refused or need not be asked to take, and why.
  var refusals: [UInt64: EpochRefusal] = [:]

  /// - Parameters:
  ///   - policies: shared by all workers of the daemon, as is the shelf.
  ///   - credentials: asked at each look; they must be good for the minutes in which a job asks KMS.
  ///   - onPolicy: told each policy that verifies under `policyKey`.
  init(
    name: String, client: WorkerClient, relay: Endpoint, policies: StorePolicy, shelf: EpochShelf,
    credentials: any CredentialSource, onPolicy: @escaping @Sendable (PolicyClaims) -> Void,
    onStatus: @escaping @Sendable (String?, UInt64?) -> Void = { _, _ in },
    onKeys: @escaping @Sendable () -> Void = {}, log: Logger
  ) {
    self.name = name
    self.client = client
    self.relay = relay
    self.credentials = credentials
    self.onPolicy = onPolicy
    self.onStatus = onStatus
    self.onKeys = onKeys
    self.log = log
    self.policies = policies
    self.shelf = shelf
  }

  /// Brings the worker to where it can run a job; cheap when nothing changed.
  ///
  /// - Parameters:
  ///   - maximumAge: a look that found it ready so short a time ago is enough.
  ///   - storeAge: the same of the store's policy.
  /// - Throws: ``WorkerNotReady`` when the worker refuses what it is given, otherwise what store or channel throw.
  func makeReady(maximumAge: Duration = .zero, storeAge: Duration = .zero) throws {
    try alone {
      if let readyAt, ContinuousClock.now - readyAt < maximumAge { return }
      readyAt = nil
      let (status, policy) = try supply(storeAge: storeAge)
      let (stored, held) = try settleEpochs(known: Set(status.epochs), under: policy)
      try renewAnnouncement(stored, boot: status.key, under: policy)
      if held != lastHeld { onKeys() }
      lastHeld = held
      board.noteReady(policy: policy, epoch: try newest(of: stored))
      readyAt = ContinuousClock.now
    }
  }

  /// The next ``makeReady(maximumAge:storeAge:)`` looks again, also into the store: after a lost connection or a failed
  /// exchange.
  func forget() {
    shelf.forget()
    alone { readyAt = nil }
  }

  /// Runs `body` while no other look is under way.
  func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }

  /// What the worker says of itself. Unverified on purpose: the host needs no proof of its own worker, it only wants to
  /// know what to hand over.
  func currentStatus() throws -> StatusClaims { try status().signed.claims }

  private func status() throws -> Unattested<StatusClaims> {
    let reply = try client.perform(.status(nonce: []))
    guard let bytes = reply.statement else { throw WorkerNotReady(description: "the worker gave no status") }
    let status = try UnverifiedStatement<StatusClaims>(bytes).signedByItsOwnKey()
    facts = WorkerFacts(document: status.document)
    board.noteDocument(status.document)
    let claims = status.signed.claims
    onStatus(
      ReportedImage(document: status.document)?.shortName, claims.policyDigest == nil ? nil : claims.policyVersion)
    return status
  }

  /// Why the worker did not do what it was asked for: its advice in an operator's words, or `otherwise`.
  func reason(_ reply: WorkerReply, under policy: PolicyClaims?, otherwise: String) -> String {
    guard let advice = reply.advice else { return otherwise }
    return advice.text(key: policy?.epochKey, accessKeyID: given?.accessKeyID, facts: facts)
  }

  /// The policy that was handed over last.
  var policyInForce: PolicyClaims? { given?.policy.claims }

  static var nowMs: UInt64 { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }
}

// MARK: Policy and credentials

extension WorkerSupervisor {
  /// Hands over what changed.
  ///
  /// - Returns: the worker's status afterwards, and the policy that it works under; nil claims where the host cannot read
  ///   it.
  func supply(storeAge: Duration = .zero) throws -> (status: StatusClaims, policy: PolicyClaims?) {
    let status = try status()
    let claims = status.signed.claims
    let (policy, refusal) = try policies.look(atMs: Self.nowMs, maximumAge: storeAge)
    if let claims = policy.claims { onPolicy(claims) }
    let credentials = try credentials.credentials()
    func wanted(_ policy: HeldPolicy) -> Given {
      Given(
        boot: claims.key, policy: policy, accessKeyID: credentials.accessKeyID, sessionToken: credentials.sessionToken)
    }
    let image = ReportedImage(document: status.document)
    if let image, let allowed = policy.claims, !image.isListed(in: allowed) {
      // Its jobs would end with receipts that every client refuses, and a receipt ends a job.
      throw WorkerNotReady(
        description: "the worker's image (PCR0 \(image.shortName)) is not listed in policy version \(allowed.version): "
          + "run a listed one, or have the security officer list it")
    }
    if given == wanted(policy), claims.policyDigest != nil {
      note(refusal)
      return (claims, policy.claims)
    }
    if given?.boot != claims.key || given?.policy != policy { refusals = [:] }
    if try configure(policy, credentials) {
      given = wanted(policy)
      note(refusal)
      return (try currentStatus(), policy.claims)
    }
    let reason = Self.refusal(of: policy, by: claims, image)
    // A worker that has a policy in force goes on under it, with fresh credentials where its bytes are still at hand.
    guard claims.policyDigest != nil else {
      given = nil
      throw WorkerNotReady(description: reason)
    }
    note(reason)
    guard let last = given, last.boot == claims.key else { return (claims, nil) }
    if last != wanted(last.policy), try configure(last.policy, credentials) { given = wanted(last.policy) }
    return (claims, last.policy.claims)
  }

  /// Hands renewed credentials to a worker that is configured, also while it runs a job: the worker's running job takes
  /// them over (its policy stays). Does nothing while the old ones need no renewal, or where nothing was handed over yet.
  ///
  /// - Throws: what the credentials' source or the channel throw, ``WorkerNotReady``; the next look starts over then.
  func renewCredentials() throws {
    try alone {
      guard let old = given else { return }
      let credentials = try credentials.credentials()
      let renewed = Given(
        boot: old.boot, policy: old.policy, accessKeyID: credentials.accessKeyID,
        sessionToken: credentials.sessionToken)
      guard renewed != old else { return }
      // What the worker was given stays known until it has the new ones: a worker that is held to its policy can be given
      // nothing but that again.
      guard try configure(old.policy, credentials) else {
        throw WorkerNotReady(description: "the worker refuses the policy that it was configured with")
      }
      given = renewed
    }
  }

  /// Why a worker refuses a policy that the host itself would take, as far as its status tells.
  private static func refusal(of policy: HeldPolicy, by status: StatusClaims, _ image: ReportedImage?) -> String {
    guard let claims = policy.claims else {
      return "the worker refuses the policy of the store: it is expired, older than one it has seen, or not signed by "
        + "the key in the worker's image; ask the security officer (with --policy-key the daemon says which)"
    }
    let offered = "version \(claims.version) of the policy"
    if image?.isPinned ?? false {
      return "the worker's image is made to hold one policy for each boot, and has version \(status.policyVersion): "
        + "restart the worker to have it take \(offered)"
    }
    if status.policyVersion > claims.version {
      return "the worker has version \(status.policyVersion) in force and refuses \(offered): put the newer one back"
    }
    if status.policyDigest != nil, status.policyVersion == claims.version {
      return "the worker has another policy of the same version \(claims.version) in force: the security officer gives "
        + "every change a new version"
    }
    return "the worker refuses \(offered): another policy key is in its image than the daemon's --policy-key, or its "
      + "clock is past the policy's end"
  }

  private func configure(_ policy: HeldPolicy, _ credentials: AWSCredentials) throws -> Bool {
    let reply = try credentials.secret.withUnsafeBytes { secret in
      try client.perform(
        .configure(
          WorkerConfiguration(
            policy: policy.bytes, relay: relay, accessKeyID: credentials.accessKeyID, secretAccessKey: Array(secret),
            sessionToken: credentials.sessionToken)))
    }
    switch reply.code {
    case .ok:
      log.info(
        "worker configured",
        metadata: ["endpoint": "\(client.endpoint)", "policy": "\(policy.claims.map { "\($0.version)" } ?? "unread")"])
      return true
    case .retry: throw WorkerNotReady(description: "the worker's security module does not answer")
    case .refused, .failed: return false
    }
  }

  /// A policy that does not take over is said once, while jobs go on under the last good one.
  private func note(_ reason: String?) {
    guard let reason else { return complaint.clear() }
    if complaint.isDue(reason) { log.warning("the last good policy stays in force: \(reason)") }
  }
}
