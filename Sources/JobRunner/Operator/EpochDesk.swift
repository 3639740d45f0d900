import SealedCrypto
import Wire

/// What the daemon answers to `ephemeral epochs`.
///
/// Of several workers one is asked and makes what is to be made: the first that can, since all share one shelf.
struct EpochDesk: Sendable {
  /// The one to ask: a silent worker would hold the answer up.
  private let choose: @Sendable () -> WorkerSupervisor

  init(supervisor: WorkerSupervisor) { choose = { supervisor } }

  init(pool: WorkerPool) {
    choose = { (pool.workers.first { $0.health.isServing } ?? pool.workers[0]).supervisor }
  }

  private var supervisor: WorkerSupervisor { choose() }

  /// Every epoch of the store, and what it is good for. Which jobs are sealed to which epoch the host cannot know: a
  /// bundle does not say.
  func list() throws -> OperatorReply {
    let supervisor = supervisor
    let view = try supervisor.epochView()
    let others = supervisor.shelf.standings.filter { $0.key != supervisor.name }.sorted { $0.key < $1.key }
    let rows = try view.stored.map { epoch -> OperatorRow in
      let claims = try supervisor.alone { try supervisor.shelf.claims(of: epoch) }
      var (state, note) = view.state(of: epoch, claims, atMs: WorkerSupervisor.nowMs)
      if state == "current" || state == "overlap" {
        let refusals = others.compactMap { name, standing in
          standing.refusals[epoch.number].map { "worker \(name): \($0)" }
        }
        note = ([note] + refusals).filter { !$0.isEmpty }.joined(separator: "; ")
      }
      return [
        "epoch": .number(Int64(clamping: epoch.number)), "state": .text(state),
        "from_ms": Self.time(claims?.notBeforeMs),
        "until_ms": Self.time(claims?.notAfterMs),
        "image": .optional(try image(of: epoch, under: view.policy, supervisor)),
        "kms_key": .optional(claims?.kmsKey), "note": .text(note),
      ]
    }
    return .table("epochs", ["epoch", "state", "from_ms", "until_ms", "image", "note"], rows)
  }

  /// Makes the next epoch now.
  func rotate() throws -> OperatorReply {
    let number = try supervisor.rotate()
    return .done(
      "epoch \(number) is announced: clients seal to it from now on; the older ones are opened until their end and grace",
      ["epoch": .number(Int64(clamping: number))])
  }

  /// Takes an epoch out of service.
  func retire(_ number: UInt64, deletingSeed: Bool) throws -> OperatorReply {
    guard let outcome = try supervisor.retire(number, deletingSeed: deletingSeed) else {
      return .missing("there is no epoch \(number) in the store")
    }
    var words = "epoch \(number) is retired: no client is offered it, and no worker of this store is given its key."
    if let next = outcome.successor { words += " Epoch \(next) was made in its place." }
    words += " Jobs sealed to it that still wait do not open; their submitters submit again."
    words +=
      deletingSeed
      ? " Its seed is deleted here, which is no erasure: whoever has a copy, or an older version of the object, can "
        + "have it opened while KMS permits."
      : " Its seed is kept."
    words += " This is no revocation: the policy's minimum_epoch is."
    return .done(
      words,
      [
        "epoch": .number(Int64(clamping: number)), "seed_deleted": .bool(deletingSeed),
        "successor": outcome.successor.map { .number(Int64(clamping: $0)) } ?? .null,
      ])
  }

  private func image(
    of epoch: ShelvedEpoch, under policy: PolicyClaims?, _ supervisor: WorkerSupervisor
  ) throws -> String? {
    guard let document = try supervisor.alone({ try supervisor.shelf.document(of: epoch) }),
      let image = ReportedImage(document: document)
    else { return nil }
    let name = policy.map { image.name(in: $0) ?? "not listed" }
    return image.shortName + (name.map { " (\($0))" } ?? "")
  }

  private static func time(_ milliseconds: UInt64?) -> OperatorValue {
    milliseconds.map { .number(Int64(clamping: $0)) } ?? .null
  }
}

/// The epochs of the store beside what the worker holds.
struct EpochView {
  let stored: [ShelvedEpoch]
  /// Nil where the host has no policy that it can read.
  let policy: PolicyClaims?
  /// Numbers that the worker holds; nil while it cannot be asked.
  let loaded: Set<UInt64>?
  let refusals: [UInt64: String]
  /// The one whose announcement clients take.
  let newest: UInt64?

  /// One word, and what an operator should know beside it.
  func state(of epoch: ShelvedEpoch, _ claims: AnnouncementClaims?, atMs now: UInt64) -> (state: String, note: String) {
    let seed = epoch.hasSeed ? "" : "its seed is deleted"
    if epoch.isRetired { return ("retired", seed) }
    guard let claims else { return ("unusable", "no announcement that can be read: nobody sealed to it") }
    if let policy, !policy.permits(epoch: epoch.number) {
      return ("revoked", "the policy permits epochs from \(policy.minimumEpoch) on")
    }
    let (end, overflow) = claims.notAfterMs.addingReportingOverflow(policy?.epochGraceMs ?? 0)
    if !overflow, end < now { return ("ended", seed) }
    guard epoch.hasSeed else { return ("not loadable", seed) }
    if let reason = refusals[epoch.number] { return ("not loadable", reason) }
    let note = loaded.map { $0.contains(epoch.number) ? "" : "not loaded yet" } ?? "the worker does not answer"
    if claims.notAfterMs <= now { return ("overlap", "past its end, opened within the grace") }
    return (epoch.number == newest ? "current" : "overlap", note)
  }
}

/// What retiring an epoch led to.
struct Retirement: Equatable {
  /// The epoch that was made since clients would have had none.
  let successor: UInt64?
}

extension WorkerSupervisor {
  /// Store and worker as they are, without changing either.
  func epochView() throws -> EpochView {
    try alone {
      let stored = try shelf.all()
      let status = try? currentStatus()
      return EpochView(
        stored: stored, policy: policyInForce, loaded: status.map { Set($0.epochs) },
        refusals: refusals.mapValues(\.reason), newest: try newest(of: stored)?.epoch)
    }
  }

  /// Makes the next epoch now.
  ///
  /// - Returns: its number.
  /// - Throws: ``WorkerNotReady``; what the store throws.
  func rotate() throws -> UInt64 { try alone { try makeNext() } }

  /// Takes an epoch out of service, after making a successor where clients would be left without any.
  ///
  /// - Returns: nil for a number that the store does not have.
  /// - Throws: ``WorkerNotReady`` where the successor cannot be made: then nothing was changed.
  func retire(_ number: UInt64, deletingSeed: Bool) throws -> Retirement? {
    try alone {
      let stored = try shelf.all()
      guard stored.contains(where: { $0.number == number }) else { return nil }
      let isNewest = try newest(of: stored)?.epoch == number
      let successor = isNewest ? try makeNext() : nil
      try shelf.retire(number, deletingSeed: deletingSeed)
      log.warning("epoch retired", metadata: ["epoch": "\(number)", "seed deleted": "\(deletingSeed)"])
      // A worker that cannot be told now is told at the next look.
      try? drop(number)
      return Retirement(successor: successor)
    }
  }

  private func makeNext() throws -> UInt64 {
    let (_, policy) = try supply()
    let number = nextNumber(after: try shelf.all(), under: policy)
    try createEpoch(number, under: policy)
    return number
  }
}
