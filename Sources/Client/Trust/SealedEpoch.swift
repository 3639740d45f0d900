import ObjectStore
import SealedCrypto
import Wire

/// What has become of the sealing key that a job was sealed to, as far as its submitter can see.
///
/// A worker that holds no key for a bundle says nothing but `retry`, since which keys it holds is the host's doing and
/// must not become a signed refusal. So the submitter looks for himself: the policy is proven, the rest is what the
/// host's store shows.
package struct SealedEpoch: Sendable {
  /// Why the bundle will not be opened, or may not.
  package enum Trouble: Sendable, Equatable {
    /// By the signed policy: no worker opens it any more.
    case revoked(minimum: UInt64)
    /// The host says so: it no longer serves the key.
    case retired
    /// Its end and the policy's grace have passed, by the announcement in the store.
    case ended(atMs: UInt64)
    /// The store has neither announcement nor seed.
    case gone
    /// The manifest's own end has passed: the worker refuses it, whatever the key.
    case lapsed(atMs: UInt64)
  }

  private let record: LedgerRecord

  package init(of record: LedgerRecord) { self.record = record }

  /// Looks at policy and store.
  ///
  /// - Parameter policy: the newest that was accepted; nil leaves it out.
  /// - Returns: nil while nothing speaks against the job.
  /// - Throws: what the store throws.
  package func trouble(
    in store: any ObjectStore, policy: PolicyClaims?, nowMs now: UInt64
  ) throws -> Trouble? {
    if let policy, !policy.permits(epoch: record.epoch) { return .revoked(minimum: policy.minimumEpoch) }
    if now > record.notAfterMs { return .lapsed(atMs: record.notAfterMs) }
    let announcement = try small(StoreLayout.announcement(record.epoch), in: store)
    guard let announcement else {
      return try store.head(try ObjectKey(StoreLayout.retired(record.epoch))) == nil ? .gone : .retired
    }
    guard let claims = try? UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
    else { return nil }
    let (end, overflow) = claims.notAfterMs.addingReportingOverflow(policy?.epochGraceMs ?? 0)
    return overflow || now <= end ? nil : .ended(atMs: end)
  }

  /// What a person is told, and what to do.
  package func explanation(_ trouble: Trouble) -> (reason: String, remedy: String) {
    let key = "the sealing key of epoch \(record.epoch), which this job is sealed to,"
    let reason =
      switch trouble {
      case .revoked(let minimum):
        "\(key) is revoked: the policy permits epochs from \(minimum) on, and no worker opens the bundle any more"
      case .retired: "the host says that \(key) is retired: its workers do not open the bundle"
      case .ended(let end): "\(key) could be opened until \(Timestamps.text(end)), and is not any more"
      case .gone: "\(key) is no longer in the store"
      case .lapsed(let end): "the job was to begin by \(Timestamps.text(end)): a worker refuses it now"
      }
    return (
      reason,
      "submit the documents again (\(record.source)) with `ephemeral submit`, under another idempotency key "
        + "if you gave one: what is sealed cannot be sealed anew"
    )
  }

  private func small(_ key: String, in store: any ObjectStore) throws -> [UInt8]? {
    do {
      return try store.getSmall(try ObjectKey(key))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }
}
