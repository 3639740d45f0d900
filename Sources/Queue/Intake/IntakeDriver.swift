import Wire

/// The object store and the policy, as intake needs them.
package protocol InboxReader {
  /// One page of the objects under ``InboxKey/prefix`` whose keys come after `after`; `next` is nil on the last page.
  func listInbox(after: String?) throws -> (objects: [InboxObject], next: String?)
  /// Reads `inbox/cancel/<digest>.cose` and verifies it: digest, signature, a signer whom the policy lists.
  func examineCancel(_ statement: ContentDigest) -> CancelExamination
}

/// Performs what an ``IntakeMachine`` decides. Used by one thread.
package struct IntakeDriver {
  private var machine: IntakeMachine
  private let store: any QueueStore
  private let inbox: any InboxReader

  package init(routes: InboxRoutes, store: any QueueStore, inbox: any InboxReader) {
    machine = IntakeMachine(routes: routes)
    self.store = store
    self.inbox = inbox
  }

  /// Routes for the passes to come: schedules come and go.
  package mutating func follow(_ routes: InboxRoutes) { machine.routes = routes }

  /// One pass over the whole inbox.
  ///
  /// - Parameter isOver: asked before each page but the first; then the pass is not complete.
  /// - Throws: what the store or the listing threw; the pass can be made again at any time.
  package mutating func pass(at now: Timestamp, isOver: () -> Bool = { false }) throws -> IntakeSummary {
    var event = IntakeEvent.begin
    while let action = machine.handle(event) {
      switch action {
      case .list(let after):
        if after != nil, isOver() { return machine.summary }
        let page = try inbox.listInbox(after: after)
        event = .listed(page.objects, next: page.next)
      case .enqueue(let jobs): event = .enqueued(try store.enqueue(jobs, at: now))
      case .findUnrecorded(let cancels): event = .unrecorded(try store.unrecordedCancels(cancels))
      case .examine(let statement): event = .examined(inbox.examineCancel(statement))
      case .recordCancel(let statement, let job):
        event = .cancelRecorded(try store.recordCancel(statement, of: job, at: now))
      }
    }
    return machine.summary
  }
}
