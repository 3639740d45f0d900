import ObjectStore
import SealedCrypto
import Wire

/// Asks for a job to be stopped: a statement signed by the submitter, put into the inbox (protocol §5).
package struct Canceller {
  private let store: any ObjectStore

  package init(store: any ObjectStore) { self.store = store }

  /// Puts the statement there. Whether and when the host obeys, the receipt says.
  package func cancel(_ job: JobName, with key: SigningKey, nowMs: UInt64) throws {
    let statement = try Signed<CancelClaims>.sign(CancelClaims(job: job, issuedMs: nowMs), with: key)
    _ = try store.put(try ObjectKey(StoreLayout.cancel(statement.digest)), statement.bytes, .ifAbsent)
  }
}
