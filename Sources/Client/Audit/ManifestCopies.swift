import Attestation
import ObjectStore
import SealedCrypto
import Wire

/// Opens the manifests that lie in the sealed results (`items.cbor`, its first element): they alone tell voided numbers
/// and the stream's name. The receipt binds the manifest's digest, so no more than the file's beginning is read.
package struct ManifestCopies {
  private let store: any ObjectStore
  private let identities: [HybridIdentity]
  private let submitters: [ContentDigest: [VerifyingKey]]

  /// - Parameter policies: by whose submitters manifests are signed.
  package init(store: any ObjectStore, identities: [HybridIdentity], policies: [Signed<PolicyClaims>]) {
    self.store = store
    self.identities = identities
    submitters = Dictionary(
      policies.map { ($0.digest, $0.claims.submitters.map(\.key)) }, uniquingKeysWith: { first, _ in first })
  }

  /// What became of one.
  enum Copy {
    case opened(StreamPosition)
    /// Not for our identity, or not there.
    case closed(String)
    /// Opened, and another manifest than the receipt's.
    case wrong(String)
  }

  func open(_ record: AuditRecord, attempt: Int64) -> Copy {
    guard let place = record.stream else { return .closed("the receipt binds no manifest") }
    let head: ItemsHead
    do {
      let source = try store.read(try ObjectKey(StoreLayout.result(record.job, attempt: attempt, .items)))
      let opened = try AgeDecryptor(identities: identities, from: source, role: .result(recipientCount: nil))
      guard let first = try ItemsReader(opened).next() else { return .closed("items.cbor is empty") }
      head = try ItemsHead(first)
    } catch {
      return .closed("\(error)")
    }
    do {
      let manifest = try UnverifiedStatement<JobManifestClaims>(head.manifest)
        .verified(byOneOf: submitters[record.policyDigest] ?? [])
      guard manifest.digest == place.manifest else { return .wrong("it is another job's manifest") }
      let stream = manifest.claims.stream
      guard stream.id == place.key.id, stream.sequence == place.sequence, stream.previous == place.previous else {
        return .wrong("the receipt names another place in the stream than the manifest")
      }
      return .opened(stream)
    } catch {
      return .wrong("\(error)")
    }
  }
}
