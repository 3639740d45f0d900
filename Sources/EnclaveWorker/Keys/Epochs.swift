import Crypto
import SealedCrypto
import Synchronization
import Wire

/// One sealing key in memory; its seed is wiped when the last reference goes.
final class Epoch: Sendable {
  let number: UInt64
  let identity: HybridIdentity
  let notBeforeMs: UInt64
  let notAfterMs: UInt64

  init(number: UInt64, identity: HybridIdentity, notBeforeMs: UInt64, notAfterMs: UInt64) {
    self.number = number
    self.identity = identity
    self.notBeforeMs = notBeforeMs
    self.notAfterMs = notAfterMs
  }

  /// SHA-256 of the public key: what manifests name.
  var keyDigest: ContentDigest { SHA256.digest(of: identity.recipient.publicKey) }

  /// Why bundles of this epoch are not opened, if so: a number outside the policy's, or past its end and the grace.
  func refusal(under policy: PolicyClaims, atMs now: UInt64) -> String? {
    guard policy.permits(epoch: number) else { return "epoch \(number) is not one that the policy permits" }
    let (end, overflow) = notAfterMs.addingReportingOverflow(policy.epochGraceMs)
    return overflow || now <= end ? nil : "epoch \(number) has ended"
  }
}

/// The sealing keys of this boot, by their digest: a host that lost the first answer may have an epoch made again, and
/// bundles to either key open.
///
/// A key is announced in the very step that makes it, and never again: whoever could have a loaded key announced could
/// have one announced that he knows (protocol §3).
final class Epochs: Sendable {
  private let held = Mutex<[ContentDigest: Epoch]>([:])

  /// All of them, newest first.
  var all: [Epoch] { held.withLock { $0.values.sorted { $0.number > $1.number } } }

  /// Drops those that `policy` no longer permits.
  func prune(under policy: PolicyClaims, atMs now: UInt64) {
    held.withLock { epochs in epochs = epochs.filter { $0.value.refusal(under: policy, atMs: now) == nil } }
  }

  /// Lets go of every key of epoch `number`; a job that is under way with one keeps it to its end.
  func drop(_ number: UInt64) { held.withLock { epochs in epochs = epochs.filter { $0.value.number != number } } }

  /// Makes the sealing key of epoch `number`, has KMS guard its seed, and announces it.
  ///
  /// - Returns: the announcement's COSE bytes and the seed's age file.
  /// - Throws: ``WorkerFault``.
  func create(_ number: UInt64, for settings: Settings, in enclave: Enclave) throws -> (
    announcement: [UInt8], seed: [UInt8]
  ) {
    let policy = settings.policy.claims
    guard policy.permits(epoch: number) else { throw WorkerFault.refused("not an epoch that the policy permits") }
    try makeRoom(under: policy, atMs: try enclave.milliseconds())

    let identity = try HybridIdentity.generate()
    let keyARN = try WorkerFault.refusing("policy") { try KMSKeyARN(policy.epochKey) }
    let dataKey = try enclave.kms.generateDataKey(
      under: keyARN, context: .epoch(number, policyKey: enclave.policyKey), access: settings.access)
    // The announcement's own document is made after this moment, so the validity that a client counts from the
    // document's time is never longer than the policy's.
    let now = try enclave.milliseconds()
    let (end, overflow) = now.addingReportingOverflow(policy.epochValidityMs)
    guard !overflow, end > now else { throw WorkerFault.refused("the policy's epoch validity is no time span") }
    let epoch = Epoch(number: number, identity: identity, notBeforeMs: now, notAfterMs: end)

    let seed = try sealedSeed(of: epoch, keyARN: keyARN, dataKey: dataKey)
    let announcement = try enclave.sign(
      AnnouncementClaims(
        epoch: number, publicKey: identity.recipient.publicKey, notBeforeMs: now, notAfterMs: end,
        kmsKey: keyARN.text, policyVersion: policy.version, policyDigest: settings.policy.digest, key: enclave.key))
    held.withLock { $0[epoch.keyDigest] = epoch }
    return (announcement.bytes, seed)
  }

  /// Opens a stored seed. KMS authenticates the epoch's number as encryption context, and everything in the seed must
  /// equal the announcement beside it. The announcement's attestation is the client's to judge: here it proves nothing,
  /// and nothing rests on it.
  ///
  /// - Throws: ``WorkerFault``.
  func load(seed: [UInt8], announcement: [UInt8], for settings: Settings, in enclave: Enclave) throws {
    let policy = settings.policy.claims
    let claims = try WorkerFault.refusing("announcement") {
      try UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
    }
    guard policy.permits(epoch: claims.epoch) else { throw WorkerFault.refused("not an epoch that the policy permits") }
    guard claims.kmsKey == policy.epochKey else { throw WorkerFault.refused("another KMS key than the policy's") }
    let now = try enclave.milliseconds()
    try makeRoom(under: policy, atMs: now)

    let epoch = try WorkerFault.refusing("epoch seed") {
      let keyARN = try KMSKeyARN(policy.epochKey)
      let identity = KMSStanzaIdentity(expectedKeyARN: keyARN.text) { blob in
        try enclave.kms.decrypt(
          blob, under: keyARN, context: .epoch(claims.epoch, policyKey: enclave.policyKey), access: settings.access)
      }
      let file = try AgeDecryptor(identities: [identity], from: MemorySource(seed), role: .epochSeed)
      var plaintext = try file.readAll(limit: 4096, "epoch seed")
      defer { SecretBytes.wipe(&plaintext) }
      let stored = try EpochSeed(plaintext)
      let key = try HybridIdentity(seed: stored.seed)
      guard stored.epoch == claims.epoch, stored.publicKey == claims.publicKey,
        key.recipient.publicKey == claims.publicKey,
        stored.notBeforeMs == claims.notBeforeMs, stored.notAfterMs == claims.notAfterMs
      else { throw WorkerFault.refused("the seed is not the announced one") }
      return Epoch(number: stored.epoch, identity: key, notBeforeMs: stored.notBeforeMs, notAfterMs: stored.notAfterMs)
    }
    if let refusal = epoch.refusal(under: policy, atMs: now) { throw WorkerFault.refused(refusal) }
    held.withLock { $0[epoch.keyDigest] = epoch }
  }

  private func sealedSeed(of epoch: Epoch, keyARN: KMSKeyARN, dataKey: KMSDataKey) throws -> [UInt8] {
    let recipient = try KMSStanzaRecipient(
      keyARN: keyARN.text, ciphertextBlob: dataKey.ciphertextBlob, dataKey: dataKey.secret)
    let sink = MemorySink()
    let file = try AgeEncryptor(recipients: [recipient], to: sink)
    var plaintext = EpochSeed(
      seed: epoch.identity.seed, publicKey: epoch.identity.recipient.publicKey, epoch: epoch.number,
      notBeforeMs: epoch.notBeforeMs, notAfterMs: epoch.notAfterMs
    ).encoded()
    defer { SecretBytes.wipe(&plaintext) }
    try file.write(plaintext)
    try file.finish()
    return sink.bytes
  }

  /// Whether another key may be taken; ended ones make room.
  private func makeRoom(under policy: PolicyClaims, atMs now: UInt64) throws {
    prune(under: policy, atMs: now)
    guard held.withLock({ $0.count }) < Limits.epochs else {
      throw WorkerFault.refused("this worker holds \(Limits.epochs) epochs already")
    }
  }
}
