import Wire

// One attempt at one job, without I/O: an event goes in, one action comes out, and the driver performs it.
//
//   claimed ─▶ lookingUp ─absent─▶ connecting ─▶ serving ◀──▶ (one request of the worker, one reply)
//                  │                                │ end with a receipt
//                  │ a commit exists                ▼
//                  │                             storing ─▶ committing ──written or already there──▶ finishing ─▶ over
//                  └───────────────────────────────────────────────────────────────────────────────────▲
//
// - Every attempt looks for a commit first, so that a crash between commit and finish costs no second run, and only
//   then may it cancel or give up.
// - `finish` needs a ``JobCommit``, and one comes only from a written or an existing commit.json; commit.json is
//   written only after the receipt has been stored. So there is no finished job without a receipt.
// - A fault while committing leaves open whether the write took place. The next attempt's look decides.
// - A cancel has no receipt: the worker that hears of it ends with the code `retry`, and the job is cancelled by the
//   host's word alone.
// - Once the receipt is there, cancel, deadline and shutdown come too late: the job has ended, and it is only a few
//   small writes from saying so. A lost lease still stops it: a successor may be at work, and will find the commit.

/// What happened to an attempt.
package enum ExecutorEvent: Sendable {
  /// The driver holds the lease. The first event.
  case claimed
  /// Answers ``ExecutorAction/lookUpCommit``: the commit that stands in the store, nil when there is none.
  case commitLookedUp(JobCommit?)
  /// Answers ``ExecutorAction/startJob(attempt:)``: a worker has taken the job.
  case workerConnected
  /// Answers ``ExecutorAction/readRequest``.
  case requestReceived(JobRequest)
  /// The reply to the worker's last request has been sent.
  case replied
  /// Answers ``ExecutorAction/storeResults(receipt:)``: results and receipt are in the store. The outcome and the
  /// digest are what the host read of the receipt.
  case resultsStored(JobOutcome, receipt: ContentDigest)
  /// Answers ``ExecutorAction/writeCommit(_:)``.
  case commitWritten
  /// Answers ``ExecutorAction/writeCommit(_:)``: another attempt's commit was there first.
  case commitExisted(JobCommit)
  /// The queue has recorded the last action (finish, retry, release, cancel, give up).
  case recorded
  /// The queue refused the last action (the lease is no longer held) or could not record it.
  case notRecorded
  /// I/O failed, and this is the class of it.
  case fault(Fault)
  /// A heartbeat was fenced, or none could be made until the lease ran out.
  case leaseLost
  /// The attempt's deadline has passed.
  case deadlinePassed
  /// A heartbeat brought the submitter's or an operator's cancel.
  case cancelRequested
  /// The daemon is stopping and will not wait.
  case shutdown
}

/// What the driver does next.
package enum ExecutorAction: Sendable {
  /// Read `jobs/<name>/commit.json`.
  case lookUpCommit
  /// Connect to the worker and send `runJob`.
  case startJob(attempt: Int64)
  /// Wait for the worker's next request.
  case readRequest
  /// Send the next piece of a stream, or that it is absent.
  case sendPiece(JobStream)
  /// Append to a result file of this attempt, then acknowledge.
  case appendResult(ResultFile, [UInt8], cancel: Bool)
  /// Acknowledge progress.
  case acknowledge(cancel: Bool)
  /// Complete the attempt's result files and put its receipt beside them. A receipt that does not name this bundle is
  /// the fault `workerProtocol`.
  case storeResults(receipt: [UInt8])
  /// Write `jobs/<name>/commit.json`, on the condition that there is none.
  case writeCommit(JobCommit)
  /// ``QueueStore/finish(_:with:at:)``. Like all that follow, it ends the attempt; results that no commit names may be
  /// deleted.
  case finish(JobCommit)
  /// ``QueueStore/fail(_:with:at:)``
  case retryLater(Fault)
  /// ``QueueStore/release(_:at:)``
  case release
  /// ``QueueStore/cancel(_:at:)``
  case cancel
  /// ``QueueStore/giveUp(_:at:)``
  case giveUp
  /// Stop, and touch neither the queue nor the store any more.
  case abandon
}

/// The decisions of one attempt.
package struct ExecutorMachine: Sendable {
  /// Where the attempt stands; the comment names the legal exits.
  private enum State {
    /// → lookingUp
    case new
    /// → connecting, ending
    case lookingUp
    /// → serving, ending
    case connecting
    /// → serving, storing, ending
    case serving
    /// → committing, ending
    case storing
    /// → ending
    case committing(JobCommit)
    /// The last action is under way. → over
    case ending
    /// Nothing more is done.
    case over
  }

  private let lease: Lease
  private var state = State.new
  private var isCancelRequested: Bool
  /// The worker has asked for the bundle.
  private var hasPulledBundle = false
  /// The worker has said, by its first word of progress, that the bundle opened and its manifest verified.
  private var hasOpenedBundle = false
  /// Items that the worker says are done: for the operator's eyes.
  package private(set) var itemsDone: UInt64 = 0

  package init(_ lease: Lease) {
    self.lease = lease
    isCancelRequested = lease.cancelRequested
  }

  /// Whether the attempt is over.
  package var isOver: Bool { if case .over = state { true } else { false } }

  /// The action that `event` leads to; nil when there is nothing new to do (the action under way goes on, or the
  /// attempt is over).
  package mutating func handle(_ event: ExecutorEvent) -> ExecutorAction? {
    switch event {
    case .leaseLost: leaseLost()
    case .deadlinePassed: interrupt(.retryLater(Fault(.deadlineExceeded)))
    case .shutdown: interrupt(.release)
    case .cancelRequested: cancelRequested()
    case .fault(let fault): faulted(fault)
    default: proceed(event)
    }
  }

  /// The events of an undisturbed attempt. One that does not belong to the state is the driver's mistake: the attempt
  /// is abandoned, its lease runs out, and the next one starts from what the store says.
  private mutating func proceed(_ event: ExecutorEvent) -> ExecutorAction? {
    switch (state, event) {
    case (.new, .claimed):
      state = .lookingUp
      return .lookUpCommit
    case (.lookingUp, .commitLookedUp(let commit?)): return end(.finish(commit))
    case (.lookingUp, .commitLookedUp(nil)): return begin()
    case (.connecting, .workerConnected), (.serving, .replied):
      state = .serving
      return .readRequest
    case (.serving, .requestReceived(let request)): return serve(request)
    case (.storing, .resultsStored(let outcome, let receipt)):
      let commit = JobCommit(attempt: lease.attempt, outcome: outcome, receipt: receipt)
      state = .committing(commit)
      return .writeCommit(commit)
    case (.committing(let commit), .commitWritten): return end(.finish(commit))
    case (.committing, .commitExisted(let commit)): return end(.finish(commit))
    case (.ending, .recorded):
      state = .over
      return nil
    case (.ending, .notRecorded): return abandon()
    case (.over, _): return nil
    default: return abandon()
    }
  }

  /// There is no commit: run the job, unless it must not run any more.
  private mutating func begin() -> ExecutorAction {
    if isCancelRequested { return end(.cancel) }
    if lease.isExhausted { return end(.giveUp) }
    state = .connecting
    return .startJob(attempt: lease.attempt)
  }

  /// One request of the worker. What the protocol does not allow here ends the attempt, not the daemon.
  private mutating func serve(_ request: JobRequest) -> ExecutorAction {
    switch request {
    case .pull(let stream):
      if stream == .bundle { hasPulledBundle = true }
      return .sendPiece(stream)
    case .write(let file, let bytes): return .appendResult(file, bytes, cancel: isCancelRequested)
    case .progress(let done):
      hasOpenedBundle = true
      itemsDone = done
      return .acknowledge(cancel: isCancelRequested)
    // A worker that is told of a cancel stops and says no more than this; that the job is cancelled is the host's word.
    case .end(.retry, nil): return end(isCancelRequested ? .cancel : .retryLater(undecided))
    case .end(.retry, .some): return end(.retryLater(Fault(.workerProtocol, detail: "a receipt with the code retry")))
    case .end(_, nil): return end(.retryLater(Fault(.workerProtocol, detail: "an end without a receipt")))
    case .end(_, let receipt?):
      state = .storing
      return .storeResults(receipt: receipt)
    }
  }

  /// What an end by `retry` was. The worker says no more than that; where it stopped, the host has seen itself.
  private var undecided: Fault {
    guard hasPulledBundle, !hasOpenedBundle else { return Fault(.workerRetry) }
    return Fault(
      .bundleUnopened,
      detail: "no sealing key that the worker holds opens the bundle: its epoch is ended, retired, revoked or not "
        + "loaded (ephemeral epochs list); if it does not come back, the submitter must submit again")
  }

  /// While the last action is recorded, the fence itself decides.
  private mutating func leaseLost() -> ExecutorAction? {
    switch state {
    case .new, .lookingUp, .connecting, .serving, .storing, .committing: abandon()
    case .ending, .over: nil
    }
  }

  private mutating func abandon() -> ExecutorAction {
    state = .over
    return .abandon
  }

  private mutating func cancelRequested() -> ExecutorAction? {
    isCancelRequested = true
    return nil
  }

  /// An ending that comes from outside, unless the receipt is already there.
  private mutating func interrupt(_ action: ExecutorAction) -> ExecutorAction? {
    switch state {
    case .new, .lookingUp, .connecting, .serving: end(action)
    case .storing, .committing, .ending, .over: nil
    }
  }

  private mutating func faulted(_ fault: Fault) -> ExecutorAction? {
    switch state {
    case .new, .lookingUp, .connecting, .serving, .storing, .committing: end(.retryLater(fault))
    case .ending, .over: nil
    }
  }

  private mutating func end(_ action: ExecutorAction) -> ExecutorAction {
    state = .ending
    return action
  }
}
