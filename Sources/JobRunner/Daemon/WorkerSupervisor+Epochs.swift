import Logging
import SealedCrypto
import Wire

/// Why an epoch is not handed to the worker, and since when: a key policy may be mended.
struct EpochRefusal {
  let reason: String
  /// The worker's word, which mostly is KMS's; else the host's own reading.
  let isWorkers: Bool
  private let at = ContinuousClock.now
  private static let age = Duration.seconds(600)

  init(_ reason: String, isWorkers: Bool = false) {
    self.reason = reason
    self.isWorkers = isWorkers
  }

  /// Whether it is too early to ask again.
  var stands: Bool { ContinuousClock.now - at < Self.age }
}

extension WorkerSupervisor {
  private static let renewalPause = Duration.seconds(60)

  /// Has the worker hold what the store says: loads what it lacks, drops what is retired.
  ///
  /// - Returns: the epochs of the store.
  func settleEpochs(known: Set<UInt64>, under policy: PolicyClaims?) throws -> [ShelvedEpoch] {
    let stored = try shelf.all()
    for epoch in stored where epoch.isRetired {
      // What a crash left undone.
      if epoch.announced != nil { try shelf.retire(epoch.number, deletingSeed: false) }
      if known.contains(epoch.number) { try drop(epoch.number) }
    }
    let wanted = stored.filter { $0.hasSeed && !$0.isRetired && $0.number >= policy?.minimumEpoch ?? 0 }
    for epoch in wanted.suffix(Limits.epochs) where !known.contains(epoch.number) {
      if refusals[epoch.number]?.stands ?? false { continue }
      try load(epoch, under: policy)
    }
    return stored
  }

  private func load(_ epoch: ShelvedEpoch, under policy: PolicyClaims?) throws {
    let number = epoch.number
    guard let claims = try shelf.claims(of: epoch), let announcement = try shelf.announcement(of: number),
      let seed = try shelf.seed(of: number)
    else { return refusals[number] = EpochRefusal("it has no announcement that can be read: nobody sealed to it") }
    if let policy {
      // The worker would have KMS open the seed only to refuse it.
      let (end, overflow) = claims.notAfterMs.addingReportingOverflow(policy.epochGraceMs)
      guard overflow || end >= Self.nowMs else { return refusals[number] = EpochRefusal("it has ended") }
    }
    let reply = try client.perform(.loadEpoch(seed: seed, announcement: announcement))
    switch reply.code {
    case .ok:
      refusals[number] = nil
      log.info("epoch loaded", metadata: ["epoch": "\(number)"])
    case .retry:
      let reason = reason(reply, under: policy, otherwise: "the worker could not ask KMS")
      throw WorkerNotReady(description: "epoch \(number) is not open: \(reason)")
    case .refused, .failed:
      let reason = reason(
        reply, under: policy, otherwise: "it has ended, or its seed or announcement is not what the policy asks for")
      if refusals.updateValue(EpochRefusal(reason, isWorkers: true), forKey: number) == nil {
        log.warning("the worker refuses an epoch: \(reason)", metadata: ["epoch": "\(number)"])
      }
    }
  }

  func drop(_ number: UInt64) throws {
    guard try client.perform(.dropEpoch(number)).code == .ok else {
      throw WorkerNotReady(description: "the worker does not drop the retired epoch \(number)")
    }
    log.info("epoch dropped", metadata: ["epoch": "\(number)"])
  }

  /// The epoch whose announcement clients take: the newest that was ever announced, if it is in service here. An older
  /// one is none: whoever has seen a newer announcement refuses it.
  func newest(of stored: [ShelvedEpoch]) throws -> AnnouncementClaims? {
    guard let epoch = stored.last(where: { $0.announced != nil || $0.isRetired }), !epoch.isRetired,
      refusals[epoch.number] == nil
    else { return nil }
    return try shelf.claims(of: epoch)
  }

  /// The number that the next epoch takes: never one that was used.
  func nextNumber(after stored: [ShelvedEpoch], under policy: PolicyClaims?) -> UInt64 {
    let last = stored.last?.number ?? 0
    return max(last == .max ? last : last + 1, policy?.minimumEpoch ?? 0)
  }

  /// Makes the next epoch when clients have none to seal to, and already in the last quarter of the newest one's time: a
  /// machine that is away then comes back to clients that still can seal.
  ///
  /// - Parameter boot: the worker's key.
  func renewAnnouncement(_ stored: [ShelvedEpoch], boot: VerifyingKey, under policy: PolicyClaims?) throws {
    let now = Self.nowMs
    let next = nextNumber(after: stored, under: policy)
    guard let current = try newest(of: stored), current.notAfterMs > now else {
      return try createEpoch(next, under: policy)
    }
    if let policy, let document = try stored.last(where: { $0.number == current.epoch }).flatMap(shelf.document),
      !Self.isAcceptable(current, document, under: policy),
      // One that this boot made under this very policy is as good as the next would be.
      current.key != boot || current.policyVersion != policy.version
    {
      log.info("clients refuse the newest epoch under this policy", metadata: ["epoch": "\(current.epoch)"])
      return try createEpoch(next, under: policy)
    }
    let validity = current.notAfterMs - min(current.notBeforeMs, current.notAfterMs)
    if current.notAfterMs - now > validity / 4 { return }
    if let renewalFailedAt, ContinuousClock.now - renewalFailedAt < Self.renewalPause { return }
    do {
      try createEpoch(next, under: policy)
    } catch {
      // Clients can still seal and jobs can run: this one waits.
      renewalFailedAt = ContinuousClock.now
      log.warning("the newest epoch ends soon and has no successor: \(error)", metadata: ["epoch": "\(current.epoch)"])
    }
  }

  /// Whether a client with this policy takes the announcement (protocol §4), as far as the host can tell: after an image
  /// upgrade, say, the policy no longer lists the image that made it.
  private static func isAcceptable(
    _ claims: AnnouncementClaims, _ document: [UInt8], under policy: PolicyClaims
  ) -> Bool {
    guard policy.permits(epoch: claims.epoch), claims.kmsKey == policy.epochKey else { return false }
    guard let image = ReportedImage(document: document) else { return true }
    let (end, overflow) = image.timeMs.addingReportingOverflow(policy.epochValidityMs)
    return image.isListed(in: policy) && (overflow || claims.notAfterMs <= end)
  }

  func createEpoch(_ number: UInt64, under policy: PolicyClaims?) throws {
    let reply = try client.perform(.createEpoch(number))
    guard reply.code == .ok, let seed = reply.seed, let announcement = reply.statement else {
      let reason = reason(
        reply, under: policy,
        otherwise: reply.code == .retry
          ? "the worker has no policy in force, or its security module does not answer"
          : "the policy does not permit the epoch, or the worker holds too many")
      throw WorkerNotReady(description: "no epoch \(number) could be made: \(reason)")
    }
    // KMS gives this worker keys: what it refused before is worth another try.
    refusals = refusals.filter { !$0.value.isWorkers }
    do {
      guard try shelf.add(number, seed: seed, announcement: announcement) else {
        throw WorkerNotReady(description: "epoch \(number) was made by another daemon at the same time; trying again")
      }
    } catch {
      // Nobody can seal to a key whose announcement was not stored. The worker lets go of it: tries at a store that
      // takes nothing would fill its places.
      _ = try? client.perform(.dropEpoch(number))
      throw error
    }
    log.info("epoch made and announced", metadata: ["epoch": "\(number)"])
  }
}
