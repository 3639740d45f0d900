import Queue
import Wire

/// The object store as the real ``Janitor`` sees it.
struct SimulatedObjects: EndedObjects {
  let world: World
  let process: DaemonProcess

  func evidence(of job: JobName) throws -> EndEvidence {
    try world.request(.evidence, of: process) {
      guard let commit = world.shelf.commits[job] else { return .uncommitted }
      let files = world.shelf.files(of: job, attempt: commit.attempt)
      guard let writer = files[ObjectShelf.receipt], World.receipt(of: writer) == commit.receipt else {
        return .unproven("its receipt is not there")
      }
      return .committed(commit)
    }
  }

  func removeBundle(of job: Job) throws {
    try world.request(.removeBundle, of: process) {
      if !world.ledger.hasEnded(job.name) {
        world.ledger.breach("the bundle of \(short(job.name)) went before its end")
      }
      world.removeBundles(of: job.name)
    }
  }

  func removeCancel(_ statement: ContentDigest) throws {
    try world.request(.removeCancel, of: process) {
      if let key = InboxKey.cancel(statement).key { world.shelf.removeFromInbox(key) }
    }
  }
}
