import Attestation
import ObjectStore
import SealedCrypto
import Wire

/// Which sealing key a client uses: the store's newest announcement that passes every check of protocol §4.
package struct AnnouncementBook: Sendable {
  /// Epochs that are tried from the newest down; the host lists them, so it decides no more than their order.
  private static let epochsTried = 8
  private let profile: TrustProfile
  private let directory: String

  init(profile: TrustProfile, directory: String) {
    self.profile = profile
    self.directory = directory
  }

  /// Finds, verifies and accepts an announcement, and remembers its document's time: an older one is refused from now on.
  ///
  /// - Throws: ``ClientError`` of kind `rejected` with the newest one's reason when none is acceptable, of kind
  ///   `retryable` when there is none; what the store throws.
  package func refresh(from store: any ObjectStore, policy: TrustedPolicy, nowMs: UInt64) throws -> AcceptedAnnouncement
  {
    let check = AnnouncementCheck(
      verifier: profile.verifier, policy: policy.signed, newestAcceptedMs: try newestAcceptedMs())
    let epochs = try epochs(store)
    guard !epochs.isEmpty else {
      throw ClientError(
        .retryable, "the store \(store.location) has no announcement of a sealing key yet",
        remedy: "start the daemon with an enclave worker; it announces the first epoch", by: .operator_)
    }
    var refusal: ClientError?
    for epoch in epochs.suffix(Self.epochsTried).reversed() {
      let bytes: [UInt8]
      do {
        bytes = try store.getSmall(try ObjectKey(StoreLayout.announcement(epoch)))
      } catch let error as ObjectStoreError where error.kind == .notFound {
        // Retired since it was listed.
        continue
      }
      do {
        let accepted = try check.accept(bytes, nowMs: nowMs)
        guard accepted.claims.epoch == epoch else {
          throw AttestationRefusal(.epoch, "announcement", "of epoch \(accepted.claims.epoch), stored as \(epoch)")
        }
        try remember(accepted.timeMs)
        return accepted
      } catch {
        refusal = refusal ?? Self.rejected(error, epoch)
      }
    }
    throw refusal ?? ClientError(.rejected, "no announcement", remedy: "start the daemon", by: .operator_)
  }

  private static func rejected(_ error: any Error, _ epoch: UInt64) -> ClientError {
    let (who, remedy) =
      (error as? AttestationRefusal).map { Mender.of($0) }
      ?? (.operator_, "find out who changed it; the daemon announces a new epoch")
    return ClientError(
      .rejected, "the announcement of epoch \(epoch) is not acceptable, nothing was sealed: \(error)", remedy: remedy,
      by: who)
  }

  private func epochs(_ store: any ObjectStore) throws -> [UInt64] {
    var epochs: [UInt64] = []
    try store.forEach(prefix: StoreLayout.epochs) { info in
      let parts = info.key.text.split(separator: "/")
      if parts.count == 3, parts[2] == "announcement.cose", let epoch = UInt64(parts[1]), "\(epoch)" == parts[1] {
        epochs.append(epoch)
      }
      return epochs.count < 10_000
    }
    return epochs.sorted()
  }

  private var path: String { "\(directory)/announcement.cbor" }

  private func newestAcceptedMs() throws -> UInt64 {
    guard let bytes = try PrivateFiles.readIfPresent(path, limit: 64) else { return 0 }
    guard case .unsigned(let time) = try CBORDecoder.decode(bytes) else {
      throw ClientError(.other, "\(path) is damaged", remedy: "restore it from a backup")
    }
    return time
  }

  /// - Throws: ``AttestationRefusal`` when another process accepted a newer one meanwhile.
  private func remember(_ timeMs: UInt64) throws {
    let lock = try PrivateFiles.lockDirectory(directory)
    defer { withExtendedLifetime(lock) {} }
    let newestMs = try newestAcceptedMs()
    guard timeMs >= newestMs else {
      throw AttestationRefusal(.stale, "announcement", "older than the newest that was accepted before")
    }
    guard timeMs > newestMs else { return }
    try PrivateFiles.write(CBOR.unsigned(timeMs).encoded(), to: path)
  }
}
