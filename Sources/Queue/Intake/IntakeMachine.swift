import Wire

// One pass over the inbox, without I/O. The listing is the truth: an event may only start a pass sooner, and a pass
// that breaks off is simply made again, since every step of it is idempotent.
//
//   begin ─▶ list ─page─▶ enqueue the page's bundles ─▶ which cancels are new? ─▶ examine and record each ─▶ next page
//
// A page that could not be listed or recorded ends the pass; a cancel that could not be read is left for the next one.

/// One object of a listing.
package struct InboxObject: Hashable, Sendable {
  package let key: String
  package let bytes: Int64

  package init(key: String, bytes: Int64) {
    self.key = key
    self.bytes = bytes
  }
}

/// What a cancel statement turned out to be.
package enum CancelExamination: Hashable, Sendable {
  /// It is signed by a submitter whom the policy lists, and names this job.
  case valid(JobName)
  /// It is no valid statement, and will be none on another day.
  case invalid
  /// It could not be read or judged now.
  case unavailable
}

package enum IntakeEvent: Sendable {
  case begin
  /// Answers ``IntakeAction/list(after:)``; `next` is nil on the last page.
  case listed([InboxObject], next: String?)
  /// Answers ``IntakeAction/enqueue(_:)``: which of the jobs are new.
  case enqueued([Bool])
  /// Answers ``IntakeAction/findUnrecorded(_:)``.
  case unrecorded([ContentDigest])
  /// Answers ``IntakeAction/examine(_:)``.
  case examined(CancelExamination)
  /// Answers ``IntakeAction/recordCancel(_:of:)``.
  case cancelRecorded(CancelEffect)
  /// The last action failed.
  case failed
}

package enum IntakeAction: Hashable, Sendable {
  /// List `inbox/` from after this key.
  case list(after: String?)
  case enqueue([NewJob])
  case findUnrecorded([ContentDigest])
  /// Read the statement, verify it and its signer.
  case examine(ContentDigest)
  case recordCancel(ContentDigest, of: JobName)
}

/// What a pass saw, for logs and metrics.
package struct IntakeSummary: Hashable, Sendable {
  /// Bundles in the inbox, new or known.
  package var bundles = 0
  /// Jobs that were not known before.
  package var newJobs: [JobName] = []
  /// Jobs that a cancel ended at once.
  package var cancelledJobs: [JobName] = []
  /// Jobs whose executor will see that a cancel was asked.
  package var cancelsRequested = 0
  /// Cancel statements that do not verify.
  package var invalidCancels = 0
  /// Objects that are neither a bundle of a queue that this host serves nor a cancel.
  package var ignored = 0
  /// The first few keys of those, shortened.
  package var ignoredExamples: [String] = []
  /// Whether the pass saw the whole inbox.
  package var isComplete = false
}

/// The decisions of one pass.
package struct IntakeMachine: Sendable {
  /// Read as each page is sorted.
  var routes: InboxRoutes
  private var jobs: [NewJob] = []
  private var cancels: [ContentDigest] = []
  private var examining: ContentDigest?
  private var cancelling: JobName?
  private var next: String?
  /// Statements that were refused before are not read again in this daemon's life; bounded.
  private var refused: Set<ContentDigest> = []
  /// Folders that no route names and that were taken for queues, in this daemon's life; bounded, since a claim looks at
  /// every queue that has work.
  private var unnamed: Set<QueueName> = []
  package private(set) var summary = IntakeSummary()

  /// The most refused statements that are remembered.
  static let refusedLimit = 10_000
  static let exampleLimit = 5

  package init(routes: InboxRoutes) { self.routes = routes }

  /// The next action; nil when the pass is over. `begin` starts another pass.
  package mutating func handle(_ event: IntakeEvent) -> IntakeAction? {
    switch event {
    case .begin:
      summary = IntakeSummary()
      return .list(after: nil)
    case .listed(let objects, let next):
      return sort(objects, next: next)
    case .enqueued(let isNew):
      for (job, isNew) in zip(jobs, isNew) where isNew { summary.newJobs.append(job.name) }
      return cancels.isEmpty ? turnPage() : .findUnrecorded(cancels)
    case .unrecorded(let digests):
      cancels = digests.reversed()
      return examineNext()
    case .examined(let examination):
      return judge(examination)
    case .cancelRecorded(let effect):
      if effect == .cancelled, let cancelling { summary.cancelledJobs.append(cancelling) }
      if effect == .requested { summary.cancelsRequested += 1 }
      return examineNext()
    case .failed:
      return nil
    }
  }

  private mutating func sort(_ objects: [InboxObject], next: String?) -> IntakeAction? {
    self.next = next
    jobs = []
    cancels = []
    for object in objects {
      switch InboxKey(object.key) {
      case .bundle(let queue, let tenant, let name):
        guard let route = routes[queue], isServed(queue), object.bytes > 0, object.bytes <= route.bundleBytesLimit
        else {
          ignore(object)
          continue
        }
        jobs.append(
          NewJob(
            name, queue: queue, tenant: tenant?.rawValue, priority: route.priority, bundleBytes: object.bytes,
            isHeld: route.isHeld))
      case .cancel(let digest):
        if !refused.contains(digest) { cancels.append(digest) }
      case .unknown: ignore(object)
      }
    }
    summary.bundles += jobs.count
    return .enqueue(jobs)
  }

  private mutating func isServed(_ queue: QueueName) -> Bool {
    if routes.isNamed(queue) || unnamed.contains(queue) { return true }
    guard unnamed.count < QueueLimits.unnamedQueues else { return false }
    unnamed.insert(queue)
    return true
  }

  private mutating func ignore(_ object: InboxObject) {
    summary.ignored += 1
    guard summary.ignoredExamples.count < IntakeMachine.exampleLimit else { return }
    summary.ignoredExamples.append(String(object.key.prefix(120)))
  }

  private mutating func examineNext() -> IntakeAction? {
    examining = cancels.popLast()
    guard let examining else { return turnPage() }
    return .examine(examining)
  }

  private mutating func judge(_ examination: CancelExamination) -> IntakeAction? {
    guard let statement = examining else { return nil }
    switch examination {
    case .valid(let job):
      cancelling = job
      return .recordCancel(statement, of: job)
    case .invalid:
      summary.invalidCancels += 1
      if refused.count < IntakeMachine.refusedLimit { refused.insert(statement) }
      return examineNext()
    case .unavailable:
      return examineNext()
    }
  }

  private mutating func turnPage() -> IntakeAction? {
    guard let next else {
      summary.isComplete = true
      return nil
    }
    return .list(after: next)
  }
}
