import Crypto
import Logging
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// The inbox of an object store, as the queue's intake sees it.
struct StoreInbox: InboxReader {
  let store: any ObjectStore
  /// The policy's public key; without it no cancel can be judged.
  let policyKey: VerifyingKey?

  func listInbox(after: String?) throws -> (objects: [InboxObject], next: String?) {
    let page = try store.list(prefix: StoreLayout.inbox, after: try after.map { try ObjectKey($0) }, limit: 1000)
    return (
      page.entries.map { InboxObject(key: $0.key.text, bytes: Int64(clamping: $0.bytes)) }, page.next?.text
    )
  }

  /// A cancel counts when it is signed by a submitter whom the store's policy lists. Whose job it names is sealed in the
  /// bundle, so the host cannot hold it to the job's own submitter; the worker's receipts never depend on a cancel.
  func examineCancel(_ statement: ContentDigest) -> CancelExamination {
    guard let policyKey else { return .unavailable }
    do {
      guard let policy = try policy(signedBy: policyKey) else { return .unavailable }
      let bytes = try store.getSmall(try ObjectKey(StoreLayout.cancel(statement)))
      guard SHA256.digest(of: bytes) == statement,
        let cancel = try? UnverifiedStatement<CancelClaims>(bytes).verified(byOneOf: policy.submitters.map(\.key))
      else { return .invalid }
      return .valid(cancel.claims.job)
    } catch let error as ObjectStoreError where error.kind == .notFound || error.kind == .invalid {
      return .invalid
    } catch {
      return .unavailable
    }
  }

  /// Nil while the store has no policy, which says nothing about a cancel.
  private func policy(signedBy key: VerifyingKey) throws -> PolicyClaims? {
    do {
      let bytes = try store.getSmall(try ObjectKey(StoreLayout.policy))
      return try UnverifiedStatement<PolicyClaims>(bytes).verified(by: key).claims
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }
}
