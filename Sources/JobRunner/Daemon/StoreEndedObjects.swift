import Crypto
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// What the object store has of jobs that have ended, as the janitor sees it.
struct StoreEndedObjects: EndedObjects {
  let store: any ObjectStore

  func evidence(of job: JobName) throws -> EndEvidence {
    let bytes: [UInt8]
    switch try small(StoreLayout.commit(job)) {
    case .absent: return .uncommitted
    case .unusable(let reason): return .unproven("its commit.json cannot be read: \(reason)")
    case .bytes(let found): bytes = found
    }
    guard let commit = try? StoreRecord.decode(CommitRecord.self, bytes).commit else {
      return .unproven("its commit.json is none")
    }
    let receipt = "the receipt of attempt \(commit.attempt)"
    switch try small(StoreLayout.receipt(job, attempt: commit.attempt)) {
    case .absent: return .unproven("\(receipt) is not in the store")
    case .unusable(let reason): return .unproven("\(receipt) cannot be read: \(reason)")
    case .bytes(let found):
      guard SHA256.digest(of: found) == commit.receipt else {
        return .unproven("\(receipt) is not the one that its commit names")
      }
      return .committed(commit)
    }
  }

  func removeBundle(of job: Job) throws {
    try store.delete(try ObjectKey(StoreLayout.bundle(job.name, queue: job.inboxFolder)))
  }

  func removeCancel(_ statement: ContentDigest) throws {
    try store.delete(try ObjectKey(StoreLayout.cancel(statement)))
  }

  private enum Object {
    case absent
    /// It is there, and no object of ours.
    case unusable(String)
    case bytes([UInt8])
  }

  private func small(_ key: String) throws -> Object {
    do {
      return .bytes(try store.getSmall(try ObjectKey(key)))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return .absent
    } catch let error as ObjectStoreError where error.kind == .invalid {
      return .unusable("\(error)")
    }
  }
}
