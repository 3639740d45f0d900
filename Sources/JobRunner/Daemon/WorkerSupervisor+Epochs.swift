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
  /// The listing of the store's epochs is looked at no more often, but for what this daemon changes itself.
  private static let listingAge = Duration.seconds(5)

  /// Has the worker hold what the store says: loads what it lacks, drops what is retired.
  ///
  /// - Returns: the epochs of the store, and those that the worker holds now.
  func settleEpochs(
    known: Set<UInt64>, under policy: PolicyClaims?
  ) throws -> (stored: [ShelvedEpoch], held: Set<UInt64>) {
    let stored = try shelf.all(maximumAge: Self.listingAge)
    var held = known
    defer { shelf.note(name, holds: held, refusals: refusals.mapValues(\.reason)) }
    for epoch in stored where epoch.isRetired {
      // What a crash left undone.
      if epoch.announced != nil { try shelf.retire(epoch.number, deletingSeed: false) }
      if known.contains(epoch.number) { try drop(epoch.number) }
      held.remove(epoch.number)
    }
    let wanted = stored.filter { $0.hasSeed && !$0.isRetired && $0.number >= policy?.minimumEpoch ?? 0 }
    for epoch in wanted.suffix(Limits.epochs) where !known.contains(epoch.number) {
      if refusals[epoch.number]?.stands ?? false { continue }
      if try load(epoch, under: policy) { held.insert(epoch.number) }
    }
    return (stored, held)
  }

  /// Whether the worker holds it now.
  private func load(_ epoch: ShelvedEpoch, under policy: PolicyClaims?) throws -> Bool {
    let number = epoch.number
    guard let claims = try shelf.claims(of: epoch), let announcement = try shelf.announcement(of: number),
      let seed = try shelf.seed(of: number)
    else {
      refusals[number] = EpochRefusal("it has no announcement that can be read: nobody sealed to it")
      return false
    }
    if let policy {
      // The worker would have KMS open the seed only to refuse it.
      let (end, overflow) = claims.notAfterMs.addingReportingOverflow(policy.epochGraceMs)
      guard overflow || end >= Self.nowMs else {
        refusals[number] = EpochRefusal("it has ended")
        return false
      }
    }
    let reply = try client.perform(.loadEpoch(seed: seed, announcement: announcement))
    switch reply.code {
    case .ok:
      refusals[number] = nil
      log.info("epoch loaded", metadata: ["epoch": "\(number)"])
      return true
    case .retry:
      let reason = reason(reply, under: policy, otherwise: "the worker could not ask KMS")
      throw WorkerNotReady(description: "epoch \(number) is not open: \(reason)")
    case .refused, .failed:
      let reason = reason(
        reply, under: policy, otherwise: "it has ended, or its seed or announcement is not what the policy asks for")
      if refusals.updateValue(EpochRefusal(reason, isWorkers: true), forKey: number) == nil {
        log.warning("the worker refuses an epoch: \(reason)", metadata: ["epoch": "\(number)"])
      }
      return false
    }
  }

  func drop(_ number: UInt64) throws {
    guard try client.perform(.dropEpoch(number)).code == .ok else {
      throw WorkerNotReady(description: "the worker does not drop the retired epoch \(number)")
    }
    log.info("epoch dropped", metadata: ["epoch": "\(number)"])
  }

  /// The epoch whose announcement clients take: the newest that was ever announced, if it is in service here. An older
  /// one is none: whoever has seen a newer announcement refuses it. One that another worker opens is in service whatever
  /// this one says of it; else two workers that refuse each other's epochs would make new ones for ever.
  func newest(of stored: [ShelvedEpoch]) throws -> AnnouncementClaims? {
    guard let epoch = stored.last(where: { $0.announced != nil || $0.isRetired }), !epoch.isRetired,
      refusals[epoch.number] == nil
        || shelf.standings.contains(where: { $0.key != name && $0.value.held.contains(epoch.number) })
    else { return nil }
    return try shelf.claims(of: epoch)
  }

  /// The number that the next epoch takes: never one that was used.
  func nextNumber(after stored: [ShelvedEpoch], under policy: PolicyClaims?) -> UInt64 {
    let last = stored.last?.number ?? 0
    return max(last == .max ? last : last + 1, policy?.minimumEpoch ?? 0)
  }

  /// Makes the next epoch when clients have none to seal to, and already in the last quarter of the newest one's time: a
  /// machine that is away then comes back to clients that still can seal. Of several workers one makes it; the others go
  /// on with what they hold, and load it at their next look.
  ///
  /// - Parameter boot: the worker's key.
  func renewAnnouncement(_ stored: [ShelvedEpoch], boot: VerifyingKey, under policy: PolicyClaims?) throws {
    guard try renewal(stored, boot: boot, under: policy) != nil else { return }
    try shelf.inTurn {
      // Seen again in turn: the one before may have made what was missing.
      let stored = try shelf.all()
      switch try renewal(stored, boot: boot, under: policy) {
      case nil: return
      case .due: try createEpoch(nextNumber(after: stored, under: policy), under: policy)
      case .soon(let epoch):
        if let renewalFailedAt, ContinuousClock.now - renewalFailedAt < Self.renewalPause { return }
        do {
          try createEpoch(nextNumber(after: stored, under: policy), under: policy)
        } catch {
          // Clients can still seal and jobs can run: this one waits.
          renewalFailedAt = ContinuousClock.now
          log.warning("the newest epoch ends soon and has no successor: \(error)", metadata: ["epoch": "\(epoch)"])
        }
      }
    }
  }

  private enum Renewal {
    /// Clients have no epoch to seal to.
    case due
    /// They will have none soon after this one.
    case soon(UInt64)
  }

  private func renewal(
    _ stored: [ShelvedEpoch], boot: VerifyingKey, under policy: PolicyClaims?
  ) throws -> Renewal? {
    let now = Self.nowMs
    guard let current = try newest(of: stored), current.notAfterMs > now else { return .due }
    // One that this boot, or another worker of this daemon, made under this very policy is as good as the next would be.
    let isOurs = current.key == boot || shelf.hasMade(current.epoch)
    if let policy, let document = try stored.last(where: { $0.number == current.epoch }).flatMap(shelf.document),
      !Self.isAcceptable(current, document, under: policy), !isOurs || current.policyVersion != policy.version
    {
      log.info("clients refuse the newest epoch under this policy", metadata: ["epoch": "\(current.epoch)"])
      return .due
    }
    let validity = current.notAfterMs - min(current.notBeforeMs, current.notAfterMs)
    return current.notAfterMs - now > validity / 4 ? nil : .soon(current.epoch)
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
      guard try shelf.add(number, seed: seed, announcement: announcement, by: name) else {
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
